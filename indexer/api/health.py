"""Whether the process can do its job at all, and whether its answers are complete; and its metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.parameters import Query
from indexer.api.ports import Status, Watching
from indexer.api.problems import problem
from indexer.api.routes import CHAIN, Answer, Route

_RETRY = {"Retry-After": "1"}


class HealthResource:
    """`/health`, `/ready` and `/metrics`: what machines ask."""

    def __init__(self, *, status: Status, watching: Watching, metrics: Callable[[], tuple[bytes, str]]) -> None:
        self._status = status
        self._watching = watching
        self._metrics = metrics

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="GET",
                path="/health",
                handler=self.health,
                summary="Whether the process can do its job at all",
                tag="service",
                scope=None,
                answers={200: Answer("It can.", "Health")},
                problems=(503,),
            ),
            Route(
                method="GET",
                path="/ready",
                handler=self.ready,
                summary="Whether everything, or one chain, has caught up and is told",
                tag="service",
                scope=None,
                query=(CHAIN,),
                answers={200: Answer("Ready.", "Ready")},
                problems=(404, 503),
            ),
            Route(
                method="GET",
                path="/metrics",
                handler=self.metrics,
                summary="Metrics for Prometheus",
                tag="service",
                answers={200: Answer("The metrics.", content_type="text/plain")},
            ),
        )

    async def health(self, _request: web.Request) -> web.Response:
        if problems := self._status.health_problems():
            return problem(503, "; ".join(problems), headers=_RETRY, problems=list(problems))
        return json_answer({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        chain = Query(request.query).chain(self._watching.chains())
        if reasons := self._status.unready(chain):
            return problem(503, "; ".join(reasons), headers=_RETRY, reasons=list(reasons))
        return json_answer({"status": "ready"})

    async def metrics(self, _request: web.Request) -> web.Response:
        body, content_type = self._metrics()
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})
