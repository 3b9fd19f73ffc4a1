"""The JSON Schemas of what is sent and answered, as OpenAPI's components."""

from __future__ import annotations

from typing import Any, Final

from indexer.api.accounts.schemas import ACCOUNT_SCHEMAS, COURSE

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
_WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
_MAYBE_WHOLE: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
_RAW: Final[Schema] = {"type": "string", "pattern": "^-?[0-9]+$", "description": "A raw amount."}
_MAYBE_RAW: Final[Schema] = {**_RAW, "type": ["string", "null"]}
_AMOUNT: Final[Schema] = {
    "type": ["string", "null"],
    "description": "The raw amount scaled by `decimals`; null where the token does not tell them.",
}
_ADDRESS: Final[Schema] = {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}
_TOKEN: Final[Schema] = {"type": "string", "pattern": "^(native|0x[0-9a-fA-F]{40})$"}
_HASH: Final[Schema] = {"type": "string", "pattern": "^0x[0-9a-f]{64}$"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_CHAIN: Final[Schema] = {"type": ["integer", "string"], "description": "A chain id or a configured name."}
_SOURCE: Final[Schema] = {"enum": ["file", "api"], "description": "Where it was added."}


def _object(properties: Schema, *, optional: tuple[str, ...] = (), closed: bool = True) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }
    return schema | ({"additionalProperties": False} if closed else {})


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(name: str) -> Schema:
    return {"type": "array", "items": _ref(name)}


def _page(name: str) -> Schema:
    following = {"type": ["string", "null"], "description": "The `cursor` of the next page; null on the last."}
    return _object({"items": _list(name), "next": following})


_BALANCE: Final[Schema] = {
    "chainId": _WHOLE,
    "tokenAddress": _TOKEN,
    "solverAddress": _ADDRESS,
    "balance": _RAW,
    "amount": _AMOUNT,
    "decimals": _MAYBE_WHOLE,
    "tokenSymbol": _MAYBE_TEXT,
    "tokenName": _MAYBE_TEXT,
    "blockNumber": _WHOLE,
    "blockHash": _HASH,
    "timestamp": _TIME,
    "verifiedBlock": {**_WHOLE, "description": "The newest block for which the balance is known to hold."},
}
_RECORD: Final[Schema] = {
    "transactionHash": {**_HASH, "type": ["string", "null"]},
    "transactionHashes": {"type": "array", "items": _HASH},
    "changeAmount": _MAYBE_RAW,
    "cause": {"enum": ["first", "transfer", "native", "sync", "refresh", "resync"]},
    "finality": {"enum": ["latest", "safe", "finalized"]},
    "derived": {"type": "boolean"},
}
_EXPLAINED: Final[Schema] = {
    "transfers": {
        **_list("Transfer"),
        "description": "With `explain=true`: all Transfer logs since the record before, oldest first.",
    },
    "unexplained": {
        **_MAYBE_RAW,
        "description": "With `explain=true`: the change less what the transfers brought in and took out; null for"
        " native and first, and where logs in between are not known.",
    },
}
_AUDITED_CHAIN: Final[Schema] = {"chainId": _WHOLE, "name": _TEXT, "endpoint": _TEXT, "records": _WHOLE}

_STREAM: Final[Schema] = {
    "name": _TEXT,
    "state": {"enum": ["starting", "catching_up", "live", "stale", "suspended", "stopped"]},
    "block": _MAYBE_WHOLE,
    "blockTime": _MAYBE_TIME,
    "lagBlocks": _WHOLE,
    "lagSeconds": {"type": "number", "minimum": 0},
    "endpoint": _MAYBE_TEXT,
    "heads": {"enum": ["ws", "poll", None]},
    "seq": _WHOLE,
    "projectedSeq": _WHOLE,
    "restarts": _WHOLE,
    "lastError": _MAYBE_TEXT,
    "queueDepth": _WHOLE,
}

SCHEMAS: Final[Schema] = {
    "Balance": _object(_BALANCE),
    "BalancePage": _page("Balance"),
    "Record": _object(_BALANCE | _RECORD | _EXPLAINED, optional=tuple(_EXPLAINED)),
    "Transfer": _object(
        {
            "transactionHash": _HASH,
            "logIndex": _WHOLE,
            "blockNumber": _WHOLE,
            "from": _ADDRESS,
            "to": _ADDRESS,
            "value": _RAW,
        }
    ),
    "RecordPage": _page("Record"),
    "Stats": _object(
        {
            "chainId": _WHOLE,
            "tokenAddress": _TOKEN,
            "solverAddress": _ADDRESS,
            "count": _WHOLE,
            **dict.fromkeys(("first", "last", "min", "max", "average", "change", "timeWeightedAverage"), _MAYBE_RAW),
            **COURSE,
        }
    ),
    "Solver": _object(
        {
            "name": _TEXT,
            "address": _ADDRESS,
            "chains": {"type": ["array", "null"], "items": _WHOLE, "description": "Chain ids; null means all."},
            "source": _SOURCE,
        }
    ),
    "SolverPage": _page("Solver"),
    "NewSolver": _object(
        {
            "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
            "address": _ADDRESS,
            "chains": {"type": ["array", "null"], "items": _CHAIN, "minItems": 1, "maxItems": 1000},
        },
        optional=("chains",),
    ),
    "Token": _object(
        {
            "chainId": _WHOLE,
            "tokenAddress": _ADDRESS,
            "decimals": _MAYBE_WHOLE,
            "tokenSymbol": _MAYBE_TEXT,
            "tokenName": _MAYBE_TEXT,
            "source": _SOURCE,
        }
    ),
    "TokenPage": _page("Token"),
    "TokenList": _object({"items": _list("Token")}),
    "NewTokens": _object(
        {"chain": _CHAIN, "addresses": {"type": "array", "items": _ADDRESS, "minItems": 1, "maxItems": 1000}}
    ),
    "Event": _object(
        {
            "type": _TEXT,
            "id": {**_TEXT, "description": "Never repeats; tell duplicates by it."},
            "stream": _TEXT,
            "seq": {"type": "integer", "minimum": 1},
            "time": _TIME,
            "data": {"type": "object"},
        }
    ),
    "EventPage": _page("Event"),
    "Stream": _object(
        _STREAM
        | {
            "troubledEndpoints": {
                "description": "Chains only: endpoints that are asked last (aside) or not at all (lost), and why.",
                **_list("TroubledEndpoint"),
            },
            "lastResync": {
                "description": "Chains only: when everything was last read anew, as blocks could not be followed.",
                "anyOf": [{"type": "null"}, _ref("Incident")],
            },
            "lastSearchFailure": {
                "description": "Chains only: when the block of a native change could last not be searched.",
                "anyOf": [{"type": "null"}, _ref("Incident")],
            },
            "unreadableTokens": {
                "description": "Chains only: watched tokens that do not tell balances that we ask, and since when.",
                **_list("UnreadableToken"),
            },
            "account": _ref("AccountStatus"),
        },
        optional=("troubledEndpoints", "lastResync", "lastSearchFailure", "unreadableTokens", "account"),
    ),
    "TroubledEndpoint": _object({"endpoint": _TEXT, "health": {"enum": ["aside", "lost"]}, "reason": _TEXT}),
    "UnreadableToken": _object(
        {
            "tokenAddress": _ADDRESS,
            "balances": {**_WHOLE, "description": "How many of its watched balances cannot be read."},
            "block": {**_WHOLE, "description": "At which reading failed first."},
            "reason": _TEXT,
            "since": _TIME,
        }
    ),
    "Incident": _object({"block": _WHOLE, "reason": _TEXT, "at": _TIME}),
    "AccountStatus": _object(
        {
            "breaker": _object(
                {
                    "state": {"enum": ["closed", "open", "half_open", "suspended"]},
                    "failures": {**_WHOLE, "description": "In a row."},
                    "reason": _MAYBE_TEXT,
                }
            ),
            "streamed": {"type": "array", "items": _TEXT, "description": "Wallets whose changes are heard just now."},
            "unsupported": {
                "type": "object",
                "additionalProperties": _TEXT,
                "description": "Wallets that cannot be read, and why.",
            },
            "stale": {"type": "array", "items": _TEXT, "description": "Wallets of which only the last known is shown."},
            "keptOut": {
                "type": "array",
                "items": _object({"wallet": _TEXT, "asset": _TEXT}),
                "description": "Amounts of which the newest word was not believed (see its alert): the last known.",
            },
            "reads": _object({"answered": _WHOLE, "failed": _WHOLE}),
        }
    ),
    "Status": _object(
        {
            "version": _TEXT,
            "uptimeSeconds": {"type": "number"},
            "store": {},
            "subscribers": _WHOLE,
            "nats": {
                "description": "Publishing on NATS; null where the configuration names no server.",
                "anyOf": [{"type": "null"}, _ref("Nats")],
            },
            "exchangeCache": {
                "description": "What was at hand of exchange accounts; null where none is followed.",
                "anyOf": [{"type": "null"}, _ref("ExchangeCache")],
            },
            "config": _object({"loadedAt": _MAYBE_TIME, "problems": {"type": "array", "items": _TEXT}}, closed=False),
            "streams": {"type": "object", "additionalProperties": _ref("Stream")},
        },
        optional=("nats", "exchangeCache"),
    ),
    "ExchangeCache": _object(
        {
            "entries": _WHOLE,
            "maxEntries": _WHOLE,
            "ttlSeconds": {"type": "number"},
            "hits": _WHOLE,
            "misses": _WHOLE,
            "shared": {**_WHOLE, "description": "Asked while the same was being read."},
            "hitRate": {"type": ["number", "null"]},
        }
    ),
    "Nats": _object(
        {
            "server": {**_TEXT, "description": "Host and port, one or more."},
            "stream": _TEXT,
            "state": {"enum": ["connecting", "live", "catching_up", "lost", "refused"]},
            "lagEvents": {**_WHOLE, "description": "Events that were told and are not stored there."},
            "published": _WHOLE,
            "skipped": {**_WHOLE, "description": "Events that it will never get: too large, or forgotten before."},
            "reconnects": _WHOLE,
            "lastError": _MAYBE_TEXT,
            "positions": {"type": "object", "additionalProperties": _WHOLE},
        }
    ),
    "NewAudit": _object(
        {"count": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}}, optional=("count",)
    ),
    "Audit": _object(
        {
            "checked": _WHOLE,
            "differing": _list("Difference"),
            "unreadable": _WHOLE,
            "skipped": _WHOLE,
            "unanswered": {
                "type": "array",
                "items": _object(_AUDITED_CHAIN | {"reason": _TEXT}),
                "description": "Chains that nobody answered for in time; `records` of them are among `unreadable`.",
            },
        }
    ),
    "AuditWaits": _object(
        {
            "running": {"type": "boolean"},
            "waiting": {
                "type": "array",
                "items": _object(_AUDITED_CHAIN | {"seconds": {"type": "number", "minimum": 0}}),
                "description": "Chains with records that are still to be read, and for how long none was.",
            },
        }
    ),
    "Difference": _object(
        _BALANCE
        | _RECORD
        | {
            "stored": _RAW,
            "read": {**_MAYBE_RAW, "description": "What the node says at that block; null where it is orphaned."},
        }
    ),
    "Backfill": _object(
        {
            "id": _TEXT,
            "chainId": _WHOLE,
            "state": {"enum": ["queued", "collecting", "telling", "settling", "done", "failed"]},
            "fromBlock": _WHOLE,
            "toBlock": {**_MAYBE_WHOLE, "description": "Null: up to the records that there were."},
            "balances": _WHOLE,
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "records": _WHOLE,
            "derived": _WHOLE,
            "unproven": {
                "type": "array",
                "items": _object({"tokenAddress": _TOKEN, "solverAddress": _ADDRESS, "reason": _TEXT}),
                "description": "Balances of which history does not reach down to `fromBlock`, and why.",
            },
            "lastError": _MAYBE_TEXT,
            "createdAt": _TIME,
            "endedAt": _MAYBE_TIME,
        }
    ),
    "BackfillPage": _page("Backfill"),
    "BackfillList": _object({"items": _list("Backfill")}),
    "NewBackfill": _object(
        {
            "chain": {"type": ["integer", "string", "null"], "description": "A chain id or name; without one, all."},
            "token": {**_TOKEN, "type": ["string", "null"]},
            "solver": {**_ADDRESS, "type": ["string", "null"]},
            "fromBlock": {**_MAYBE_WHOLE, "description": "0 where it is left out."},
            "toBlock": _MAYBE_WHOLE,
        },
        optional=("chain", "token", "solver", "fromBlock", "toBlock"),
    ),
    **ACCOUNT_SCHEMAS,
    "Reloaded": {"type": "object", "description": "What was added, removed and changed."},
    "Health": _object({"status": {"const": "ok"}}),
    "Ready": _object({"status": {"const": "ready"}}),
    "OpenApi": {"type": "object"},
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "field": {**_TEXT, "description": "The part of the request that is wrong."},
            "problems": {"type": "array", "items": _TEXT},
            "reasons": {"type": "array", "items": _TEXT},
        },
        optional=("field", "problems", "reasons"),
    ),
}
