"""No request is kept waiting by a store that says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from indexer.api.problems import BadRequest, Handler
from indexer.api.routes import API
from indexer.errors import StoreUnavailable

log = structlog.get_logger(__name__)

PATIENT_SECONDS: Final = 2.0
"""Whoever is answered sooner asks nothing of the store but what was asked for."""

MOST_LEFT: Final = 64
"""Writes that go on without anybody waiting for them; they end with the driver's patience, half a minute later."""

_MAYBE: Final = "The store does not answer just now; what was asked may still be done when it answers again."

StoreAnswers = Callable[[], Awaitable[bool]]
"""Says within a few seconds whether the store says anything at all."""


class StoreBound:
    """Long work of a node, or of a store that is slow, is waited for; a silent store is not.

    A read is given up then. A write is not cut in the middle: it is stored first and applied afterwards, so that one
    whose second half never came would hold after the next start only. It goes on, and its end is logged.
    """

    def __init__(self, answers: StoreAnswers) -> None:
        self._answers = answers
        self._left: set[asyncio.Task[web.StreamResponse]] = set()

    @web.middleware
    async def bounded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(API):
            return await handler(request)
        is_read = request.method in ("GET", "HEAD")
        if not is_read and len(self._left) >= MOST_LEFT:
            raise StoreUnavailable("too many writes are waiting for the store")
        task = asyncio.ensure_future(handler(request))
        try:
            while not (await asyncio.wait((task,), timeout=PATIENT_SECONDS))[0]:
                if await self._answers() or task.done():
                    continue
                if is_read:
                    raise StoreUnavailable("it says nothing")
                self._leave(task, request)
                raise BadRequest(503, _MAYBE, headers={"Retry-After": "1"})
            return await task
        finally:
            if task not in self._left:
                task.cancel()

    async def close(self, _app: web.Application) -> None:
        """Nothing is left running when the server is gone."""
        left = tuple(self._left)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    def _leave(self, task: asyncio.Task[web.StreamResponse], request: web.Request) -> None:
        method, path = request.method, request.path

        def ended(done: asyncio.Task[web.StreamResponse]) -> None:
            self._left.discard(done)
            if done.cancelled():
                return
            error = done.exception()
            if error is None:
                log.info("request_done_late", method=method, path=path, status=done.result().status)
            else:
                log.warning("request_failed_late", method=method, path=path, error=repr(error))

        self._left.add(task)
        task.add_done_callback(ended)
