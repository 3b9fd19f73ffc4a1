"""What reading stored records again comes to."""

from __future__ import annotations

from typing import Final

from indexer.api.schemas.balances import BALANCE, RECORD
from indexer.api.schemas.words import MAYBE_RAW, RAW, TEXT, WHOLE, Schema, an_object, list_of

_AUDITED_CHAIN: Final[Schema] = {"chainId": WHOLE, "name": TEXT, "endpoint": TEXT, "records": WHOLE}

AUDIT_SCHEMAS: Final[Schema] = {
    "NewAudit": an_object(
        {"count": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}}, optional=("count",)
    ),
    "Audit": an_object(
        {
            "checked": WHOLE,
            "differing": list_of("Difference"),
            "unreadable": WHOLE,
            "skipped": WHOLE,
            "unanswered": {
                "type": "array",
                "items": an_object(_AUDITED_CHAIN | {"reason": TEXT}),
                "description": "Chains that nobody answered for in time; `records` of them are among `unreadable`.",
            },
        }
    ),
    "AuditWaits": an_object(
        {
            "running": {"type": "boolean"},
            "waiting": {
                "type": "array",
                "items": an_object(_AUDITED_CHAIN | {"seconds": {"type": "number", "minimum": 0}}),
                "description": "Chains with records that are still to be read, and for how long none was.",
            },
        }
    ),
    "Difference": an_object(
        BALANCE
        | RECORD
        | {
            "stored": RAW,
            "read": {**MAYBE_RAW, "description": "What the node says at that block; null where it is orphaned."},
        }
    ),
}
