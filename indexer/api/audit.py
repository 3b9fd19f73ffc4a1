"""Read random stored records again, and say how many differ."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.bodies import read_object
from indexer.api.ports import Control
from indexer.api.routes import API, Answer, Route
from indexer.api.shapes import audit_json, audit_waits_json
from indexer.errors import Refused

DEFAULT_COUNT: Final = 100
MOST: Final = 1000


class AuditResource:
    """`/audit`."""

    def __init__(self, *, control: Control) -> None:
        self._control = control

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="POST",
                path=f"{API}/audit",
                handler=self.audit,
                summary="Read random stored records again at their own blocks",
                tag="service",
                body="NewAudit",
                answers={200: Answer("What was read, and what differs.", "Audit")},
                problems=(400, 408, 413, 415, 429, 503),
            ),
            Route(
                method="GET",
                path=f"{API}/audit",
                handler=self.waits,
                summary="What an audit that goes on is waiting for",
                tag="service",
                answers={200: Answer("Chain by chain; nothing while no audit goes on.", "AuditWaits")},
            ),
        )

    async def audit(self, request: web.Request) -> web.Response:
        body = await read_object(request, ("count",)) if request.can_read_body else {}
        count = body.get("count", DEFAULT_COUNT)
        if type(count) is not int or not 1 <= count <= MOST:
            raise Refused(f"a whole number from 1 to {MOST} is expected", "count")
        return json_answer(audit_json(await self._control.audit(count)))

    async def waits(self, _request: web.Request) -> web.Response:
        return json_answer(audit_waits_json(self._control.audit_waits()))
