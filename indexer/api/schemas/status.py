"""How the service and its streams are doing."""

from __future__ import annotations

from typing import Final

from indexer.api.schemas.words import (
    ADDRESS,
    MAYBE_TEXT,
    MAYBE_TIME,
    MAYBE_WHOLE,
    TEXT,
    TIME,
    WHOLE,
    Schema,
    an_object,
    list_of,
    ref,
)

_STREAM: Final[Schema] = {
    "name": TEXT,
    "state": {"enum": ["starting", "catching_up", "live", "stale", "suspended", "stopped"]},
    "block": MAYBE_WHOLE,
    "blockTime": MAYBE_TIME,
    "lagBlocks": WHOLE,
    "lagSeconds": {"type": "number", "minimum": 0},
    "endpoint": MAYBE_TEXT,
    "heads": {"enum": ["ws", "poll", None]},
    "seq": WHOLE,
    "projectedSeq": WHOLE,
    "restarts": WHOLE,
    "lastError": MAYBE_TEXT,
    "queueDepth": WHOLE,
}

STATUS_SCHEMAS: Final[Schema] = {
    "Stream": an_object(
        _STREAM
        | {
            "troubledEndpoints": {
                "description": "Chains only: endpoints that are asked last (aside) or not at all (lost), and why.",
                **list_of("TroubledEndpoint"),
            },
            "lastResync": {
                "description": "Chains only: when everything was last read anew, as blocks could not be followed.",
                "anyOf": [{"type": "null"}, ref("Incident")],
            },
            "lastSearchFailure": {
                "description": "Chains only: when the block of a native change could last not be searched.",
                "anyOf": [{"type": "null"}, ref("Incident")],
            },
            "unreadableTokens": {
                "description": "Chains only: watched tokens that do not tell balances that we ask, and since when.",
                **list_of("UnreadableToken"),
            },
            "account": ref("AccountStatus"),
        },
        optional=("troubledEndpoints", "lastResync", "lastSearchFailure", "unreadableTokens", "account"),
    ),
    "TroubledEndpoint": an_object({"endpoint": TEXT, "health": {"enum": ["aside", "lost"]}, "reason": TEXT}),
    "UnreadableToken": an_object(
        {
            "tokenAddress": ADDRESS,
            "balances": {**WHOLE, "description": "How many of its watched balances cannot be read."},
            "block": {**WHOLE, "description": "At which reading failed first."},
            "reason": TEXT,
            "since": TIME,
        }
    ),
    "Incident": an_object({"block": WHOLE, "reason": TEXT, "at": TIME}),
    "AccountStatus": an_object(
        {
            "breaker": an_object(
                {
                    "state": {"enum": ["closed", "open", "half_open", "suspended"]},
                    "failures": {**WHOLE, "description": "In a row."},
                    "reason": MAYBE_TEXT,
                }
            ),
            "streamed": {"type": "array", "items": TEXT, "description": "Wallets whose changes are heard just now."},
            "unsupported": {
                "type": "object",
                "additionalProperties": TEXT,
                "description": "Wallets that cannot be read, and why.",
            },
            "stale": {"type": "array", "items": TEXT, "description": "Wallets of which only the last known is shown."},
            "keptOut": {
                "type": "array",
                "items": an_object({"wallet": TEXT, "asset": TEXT}),
                "description": "Amounts of which the newest word was not believed (see its alert): the last known.",
            },
            "reads": an_object({"answered": WHOLE, "failed": WHOLE}),
        }
    ),
    "Status": an_object(
        {
            "version": TEXT,
            "uptimeSeconds": {"type": "number"},
            "store": {},
            "subscribers": WHOLE,
            "nats": {
                "description": "Publishing on NATS; null where the configuration names no server.",
                "anyOf": [{"type": "null"}, ref("Nats")],
            },
            "exchangeCache": {
                "description": "What was at hand of exchange accounts; null where none is followed.",
                "anyOf": [{"type": "null"}, ref("ExchangeCache")],
            },
            "config": an_object(
                {"loadedAt": MAYBE_TIME, "problems": {"type": "array", "items": TEXT}, "hidden": ref("Hidden")},
                closed=False,
            ),
            "streams": {"type": "object", "additionalProperties": ref("Stream")},
        },
        optional=("nats", "exchangeCache"),
    ),
    "Hidden": an_object(
        {
            "solvers": {
                "type": "array",
                "items": an_object(
                    {
                        "name": TEXT,
                        "address": TEXT,
                        "by": {**TEXT, "description": "The file's solver that has its name or its address."},
                        "unwatchedOn": {"type": "array", "items": WHOLE},
                    }
                ),
            },
            "tokens": {"type": "array", "items": an_object({"chainId": WHOLE, "address": TEXT})},
            "accounts": {"type": "array", "items": an_object({"exchange": TEXT, "name": TEXT})},
        },
    ),
    "ExchangeCache": an_object(
        {
            "entries": WHOLE,
            "maxEntries": WHOLE,
            "ttlSeconds": {"type": "number"},
            "hits": WHOLE,
            "misses": WHOLE,
            "shared": {**WHOLE, "description": "Asked while the same was being read."},
            "hitRate": {"type": ["number", "null"]},
        }
    ),
    "Nats": an_object(
        {
            "server": {**TEXT, "description": "Host and port, one or more."},
            "stream": TEXT,
            "state": {"enum": ["connecting", "live", "catching_up", "lost", "refused"]},
            "lagEvents": {**WHOLE, "description": "Events that were told and are not stored there."},
            "published": WHOLE,
            "skipped": {**WHOLE, "description": "Events that it will never get: too large, or forgotten before."},
            "reconnects": WHOLE,
            "lastError": MAYBE_TEXT,
            "positions": {"type": "object", "additionalProperties": WHOLE},
        }
    ),
}
