"""Balances, their records, and statistics over them."""

from __future__ import annotations

from typing import Final

from indexer.api.schemas.words import (
    ADDRESS,
    AMOUNT,
    COURSE,
    HASH,
    MAYBE_RAW,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    RAW,
    TIME,
    TOKEN,
    WHOLE,
    Schema,
    an_object,
    list_of,
    page_of,
)

BALANCE: Final[Schema] = {
    "chainId": WHOLE,
    "tokenAddress": TOKEN,
    "solverAddress": ADDRESS,
    "balance": RAW,
    "amount": AMOUNT,
    "decimals": MAYBE_WHOLE,
    "tokenSymbol": MAYBE_TEXT,
    "tokenName": MAYBE_TEXT,
    "blockNumber": WHOLE,
    "blockHash": HASH,
    "timestamp": TIME,
    "verifiedBlock": {**WHOLE, "description": "The newest block for which the balance is known to hold."},
}
RECORD: Final[Schema] = {
    "transactionHash": {**HASH, "type": ["string", "null"]},
    "transactionHashes": {"type": "array", "items": HASH},
    "changeAmount": MAYBE_RAW,
    "cause": {"enum": ["first", "transfer", "native", "sync", "refresh", "resync"]},
    "finality": {"enum": ["latest", "safe", "finalized"]},
    "derived": {"type": "boolean"},
}
_EXPLAINED: Final[Schema] = {
    "transfers": {
        **list_of("Transfer"),
        "description": "With `explain=true`: all Transfer logs since the record before, oldest first.",
    },
    "unexplained": {
        **MAYBE_RAW,
        "description": "With `explain=true`: the change less what the transfers brought in and took out; null for"
        " native and first, and where logs in between are not known.",
    },
}

BALANCE_SCHEMAS: Final[Schema] = {
    "Balance": an_object(BALANCE),
    "BalancePage": page_of("Balance"),
    "Record": an_object(BALANCE | RECORD | _EXPLAINED, optional=tuple(_EXPLAINED)),
    "Transfer": an_object(
        {
            "transactionHash": HASH,
            "logIndex": WHOLE,
            "blockNumber": WHOLE,
            "from": ADDRESS,
            "to": ADDRESS,
            "value": RAW,
        }
    ),
    "RecordPage": page_of("Record"),
    "Stats": an_object(
        {
            "chainId": WHOLE,
            "tokenAddress": TOKEN,
            "solverAddress": ADDRESS,
            "count": WHOLE,
            **dict.fromkeys(("first", "last", "min", "max", "average", "change", "timeWeightedAverage"), MAYBE_RAW),
            **COURSE,
        }
    ),
}
