"""The jobs that fill history."""

from __future__ import annotations

from typing import Final

from indexer.api.schemas.words import (
    ADDRESS,
    MAYBE_TEXT,
    MAYBE_TIME,
    MAYBE_WHOLE,
    TEXT,
    TIME,
    TOKEN,
    WHOLE,
    Schema,
    an_object,
    page_of,
    whole,
)

HISTORY_SCHEMAS: Final[Schema] = {
    "Backfill": an_object(
        {
            "id": TEXT,
            "chainId": WHOLE,
            "state": {"enum": ["queued", "collecting", "telling", "settling", "done", "failed"]},
            "fromBlock": WHOLE,
            "toBlock": {**MAYBE_WHOLE, "description": "Null: up to the records that there were."},
            "balances": WHOLE,
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "records": WHOLE,
            "derived": WHOLE,
            "unproven": {
                "type": "array",
                "items": an_object({"tokenAddress": TOKEN, "solverAddress": ADDRESS, "reason": TEXT}),
                "description": "Balances of which history does not reach down to `fromBlock`, and why.",
            },
            "lastError": MAYBE_TEXT,
            "createdAt": TIME,
            "endedAt": MAYBE_TIME,
        }
    ),
    "BackfillPage": page_of("Backfill"),
    "BackfillList": an_object(whole("Backfill")),
    "NewBackfill": an_object(
        {
            "chain": {"type": ["integer", "string", "null"], "description": "A chain id or name; without one, all."},
            "token": {**TOKEN, "type": ["string", "null"]},
            "solver": {**ADDRESS, "type": ["string", "null"]},
            "fromBlock": {**MAYBE_WHOLE, "description": "0 where it is left out."},
            "toBlock": MAYBE_WHOLE,
        },
        optional=("chain", "token", "solver", "fromBlock", "toBlock"),
    ),
}
