"""How the service and every stream of it are doing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.ports import Freshness, Status
from indexer.api.routes import API, Answer, Route
from indexer.api.shapes import stream_json


class StatusResource:
    """`/status`."""

    def __init__(
        self,
        *,
        status: Status,
        freshness: Freshness,
        subscribers: Callable[[], int],
        now: Callable[[], datetime],
    ) -> None:
        self._status = status
        self._freshness = freshness
        self._subscribers = subscribers
        self._now = now

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="GET",
                path=f"{API}/status",
                handler=self.show,
                summary="How the service and its streams are doing",
                tag="service",
                answers={200: Answer("The status.", "Status")},
            ),
        )

    async def show(self, _request: web.Request) -> web.Response:
        projected, now = self._freshness.projected(), self._now()
        streams = {
            status.stream: stream_json(status, projected.get(status.stream, 0), now)
            for status in self._status.streams()
        }
        return json_answer({**self._status.service(), "subscribers": self._subscribers(), "streams": streams})
