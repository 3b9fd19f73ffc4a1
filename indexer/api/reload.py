"""Apply the configuration file without a restart."""

from __future__ import annotations

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.bodies import read_nothing
from indexer.api.ports import Control
from indexer.api.routes import API, Answer, Route


class ReloadResource:
    """`/reload`."""

    def __init__(self, *, control: Control) -> None:
        self._control = control

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="POST",
                path=f"{API}/reload",
                handler=self.reload,
                summary="Apply what changed in the configuration file",
                tag="service",
                scope="admin",
                answers={200: Answer("The difference that was applied.", "Reloaded")},
                problems=(400, 408, 413, 415, 422, 503),
            ),
        )

    async def reload(self, request: web.Request) -> web.Response:
        await read_nothing(request)
        return json_answer(await self._control.reload())
