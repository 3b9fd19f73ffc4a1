"""The JSON Schemas of exchange accounts."""

from __future__ import annotations

from typing import Final, get_args

from indexer.api.schemas.words import COURSE, MAYBE_TEXT, MAYBE_TIME, TEXT, TIME, Schema, an_object, page_of, whole
from indexer.domain.accounts.amounts import Measure, Source, Wallet

_NAME: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
_AMOUNT: Final[Schema] = {
    "type": ["string", "null"],
    "description": "Exactly as the venue says it; null where it does not.",
}
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
_WHERE: Final[Schema] = {"exchange": TEXT, "account": TEXT, "wallet": _WALLET, "asset": TEXT}
_BALANCE: Final[Schema] = {
    **_WHERE,
    "balance": _AMOUNT,
    "free": _AMOUNT,
    "used": _AMOUNT,
    "total": _AMOUNT,
    "debt": _AMOUNT,
    "measure": {"enum": list(get_args(Measure))},
    "source": {"enum": list(get_args(Source))},
    "venueTime": MAYBE_TIME,
    "receivedAt": TIME,
    "timestamp": TIME,
    "seq": {"type": "integer", "minimum": 1},
}

ACCOUNT_SCHEMAS: Final[Schema] = {
    "Account": an_object(
        {
            "exchange": TEXT,
            "name": TEXT,
            "wallets": _WALLETS,
            "sandbox": {"type": "boolean"},
            "pollSeconds": _POLL,
            "source": {"enum": ["file", "api"]},
            "state": TEXT,
            "lastError": MAYBE_TEXT,
            "warnings": {"type": "array", "items": TEXT},
        }
    ),
    "AccountPage": page_of("Account"),
    "NewAccount": an_object(
        {
            "exchange": TEXT,
            "name": _NAME,
            "credentials": _CREDENTIALS,
            "wallets": {**_WALLETS, "type": ["array", "null"]},
            "sandbox": {"type": ["boolean", "null"]},
            "pollSeconds": _POLL,
            "baseUrl": {"type": ["string", "null"], "description": "Another host for REST and websocket."},
        },
        optional=("wallets", "sandbox", "pollSeconds", "baseUrl"),
    ),
    "AccountChange": an_object(
        {"credentials": _CREDENTIALS, "wallets": {**_WALLETS, "type": ["array", "null"]}, "pollSeconds": _POLL},
        optional=("credentials", "wallets", "pollSeconds"),
    ),
    "AccountBalance": an_object(
        {
            **_BALANCE,
            "stale": {
                "type": "boolean",
                "description": "The last known: nobody tells of its wallet, or what was told is kept out.",
            },
        }
    ),
    "AccountBalancePage": page_of("AccountBalance"),
    "AccountRecord": an_object(
        {**_BALANCE, "changeAmount": _AMOUNT, "cause": {"enum": ["first", "stream", "rest", "refresh"]}}
    ),
    "AccountRecordPage": page_of("AccountRecord"),
    "AccountStats": an_object(
        {
            **_WHERE,
            "count": {"type": "integer", "minimum": 0},
            **dict.fromkeys(("first", "last", "min", "max", "average", "change", "timeWeightedAverage"), _AMOUNT),
            **COURSE,
        }
    ),
    "AccountPoint": an_object({"time": TIME, **dict.fromkeys(("balance", "min", "max"), TEXT)}),
    "AccountSeries": an_object(
        {
            **_WHERE,
            "granularity": {"enum": ["minute", "hour", "day"]},
            **whole("AccountPoint"),
        }
    ),
    "Position": an_object(
        {
            "exchange": TEXT,
            "account": TEXT,
            "symbol": TEXT,
            "side": {"enum": ["long", "short", "flat"]},
            "contracts": TEXT,
            **dict.fromkeys(("entryPrice", "markPrice", "unrealizedPnl", "leverage", "liquidationPrice"), _AMOUNT),
            "marginMode": MAYBE_TEXT,
            "time": TIME,
        }
    ),
    "PositionPage": page_of("Position"),
    "Funding": an_object(
        {
            "exchange": TEXT,
            "account": TEXT,
            "id": TEXT,
            "symbol": TEXT,
            "asset": TEXT,
            "amount": TEXT,
            "time": TIME,
        }
    ),
    "FundingPage": page_of("Funding"),
}
