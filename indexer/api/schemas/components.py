"""Every schema there is, as OpenAPI's components."""

from __future__ import annotations

from typing import Final

from indexer.api.accounts.schemas import ACCOUNT_SCHEMAS
from indexer.api.schemas.audits import AUDIT_SCHEMAS
from indexer.api.schemas.balances import BALANCE_SCHEMAS
from indexer.api.schemas.history import HISTORY_SCHEMAS
from indexer.api.schemas.status import STATUS_SCHEMAS
from indexer.api.schemas.watching import WATCH_SCHEMAS
from indexer.api.schemas.words import TEXT, TIME, Schema, an_object, page_of

SCHEMAS: Final[Schema] = {
    **BALANCE_SCHEMAS,
    **WATCH_SCHEMAS,
    "Event": an_object(
        {
            "type": TEXT,
            "id": {**TEXT, "description": "Never repeats; tell duplicates by it."},
            "stream": TEXT,
            "seq": {"type": "integer", "minimum": 1},
            "time": TIME,
            "data": {"type": "object"},
        }
    ),
    "EventPage": page_of("Event"),
    **STATUS_SCHEMAS,
    **AUDIT_SCHEMAS,
    **HISTORY_SCHEMAS,
    **ACCOUNT_SCHEMAS,
    "Reloaded": {
        "type": "object",
        "description": "What was added, removed and changed, what is hidden by the file now, and what is back.",
    },
    "Health": an_object({"status": {"const": "ok"}}),
    "Ready": an_object({"status": {"const": "ready"}}),
    "OpenApi": {"type": "object"},
    "Problem": an_object(
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "field": {**TEXT, "description": "The part of the request that is wrong."},
            "problems": {"type": "array", "items": TEXT},
            "reasons": {"type": "array", "items": TEXT},
        },
        optional=("field", "problems", "reasons"),
    ),
}
