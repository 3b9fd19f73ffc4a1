"""The JSON Schemas of exchange accounts."""

from __future__ import annotations

from typing import Any, Final, get_args

from indexer.domain.accounts.amounts import Measure, Source, Wallet
from indexer.domain.course import Direction

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_NAME: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
_MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
_AMOUNT: Final[Schema] = {
    "type": ["string", "null"],
    "description": "Exactly as the venue says it; null where it does not.",
}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_WALLET: Final[Schema] = {"enum": list(get_args(Wallet))}
_WALLETS: Final[Schema] = {"type": "array", "items": _WALLET, "maxItems": 20}
_POLL: Final[Schema] = {
    "type": ["number", "null"],
    "minimum": 1,
    "maximum": 3600,
    "description": "Seconds between reads while no stream talks; null is 5.",
}
_CREDENTIALS: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": 4096},
    "description": "What the exchange asks for, of `apiKey`, `secret`, `password`, `uid`, `accountId`, `login`, "
    "`token`, `twofa`, `privateKey`, `walletAddress`.",
}
COURSE: Final[Schema] = {
    "changePercent": {"type": ["string", "null"], "description": "Of the first; null where that is 0."},
    "volatility": {
        "type": ["string", "null"],
        "description": "Standard deviation in percent of `timeWeightedAverage`; null where that is 0.",
    },
    "trend": {
        "type": ["object", "null"],
        "properties": {
            "direction": {"enum": list(get_args(Direction))},
            "strength": {"type": "number", "minimum": 0, "maximum": 1, "description": "How well a straight line fits."},
        },
        "required": ["direction", "strength"],
        "additionalProperties": False,
    },
}
"""What statistics of chains and of exchange accounts have in common."""
_WHERE: Final[Schema] = {"exchange": _TEXT, "account": _TEXT, "wallet": _WALLET, "asset": _TEXT}
_BALANCE: Final[Schema] = {
    **_WHERE,
    "balance": _AMOUNT,
    "free": _AMOUNT,
    "used": _AMOUNT,
    "total": _AMOUNT,
    "debt": _AMOUNT,
    "measure": {"enum": list(get_args(Measure))},
    "source": {"enum": list(get_args(Source))},
    "venueTime": _MAYBE_TIME,
    "receivedAt": _TIME,
    "timestamp": _TIME,
    "seq": {"type": "integer", "minimum": 1},
}


def _object(properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _page(name: str) -> Schema:
    following = {"type": ["string", "null"], "description": "The `cursor` of the next page; null on the last."}
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    return _object({"items": items, "next": following})


ACCOUNT_SCHEMAS: Final[Schema] = {
    "Account": _object(
        {
            "exchange": _TEXT,
            "name": _TEXT,
            "wallets": _WALLETS,
            "sandbox": {"type": "boolean"},
            "pollSeconds": _POLL,
            "source": {"enum": ["file", "api"]},
            "state": _TEXT,
            "lastError": _MAYBE_TEXT,
            "warnings": {"type": "array", "items": _TEXT},
        }
    ),
    "AccountPage": _page("Account"),
    "NewAccount": _object(
        {
            "exchange": _TEXT,
            "name": _NAME,
            "credentials": _CREDENTIALS,
            "wallets": {**_WALLETS, "type": ["array", "null"]},
            "sandbox": {"type": ["boolean", "null"]},
            "pollSeconds": _POLL,
            "baseUrl": {"type": ["string", "null"], "description": "Another host for REST and websocket."},
        },
        optional=("wallets", "sandbox", "pollSeconds", "baseUrl"),
    ),
    "AccountChange": _object(
        {"credentials": _CREDENTIALS, "wallets": _WALLETS, "pollSeconds": _POLL},
        optional=("credentials", "wallets", "pollSeconds"),
    ),
    "AccountBalance": _object(
        {
            **_BALANCE,
            "stale": {
                "type": "boolean",
                "description": "The last known: nobody tells of its wallet, or what was told is kept out.",
            },
        }
    ),
    "AccountBalancePage": _page("AccountBalance"),
    "AccountRecord": _object(
        {**_BALANCE, "changeAmount": _AMOUNT, "cause": {"enum": ["first", "stream", "rest", "refresh"]}}
    ),
    "AccountRecordPage": _page("AccountRecord"),
    "AccountStats": _object(
        {
            **_WHERE,
            "count": {"type": "integer", "minimum": 0},
            **dict.fromkeys(("first", "last", "min", "max", "average", "change", "timeWeightedAverage"), _AMOUNT),
            **COURSE,
        }
    ),
    "AccountPoint": _object({"time": _TIME, **dict.fromkeys(("balance", "min", "max"), _TEXT)}),
    "AccountSeries": _object(
        {
            **_WHERE,
            "granularity": {"enum": ["minute", "hour", "day"]},
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/AccountPoint"}},
        }
    ),
    "Position": _object(
        {
            "exchange": _TEXT,
            "account": _TEXT,
            "symbol": _TEXT,
            "side": {"enum": ["long", "short", "flat"]},
            "contracts": _TEXT,
            **dict.fromkeys(("entryPrice", "markPrice", "unrealizedPnl", "leverage", "liquidationPrice"), _AMOUNT),
            "marginMode": _MAYBE_TEXT,
            "time": _TIME,
        }
    ),
    "PositionPage": _page("Position"),
    "Funding": _object(
        {
            "exchange": _TEXT,
            "account": _TEXT,
            "id": _TEXT,
            "symbol": _TEXT,
            "asset": _TEXT,
            "amount": _TEXT,
            "time": _TIME,
        }
    ),
    "FundingPage": _page("Funding"),
}
