"""What runs the application: problems even for those who do not speak HTTP."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from indexer.api.problems import problem

log = structlog.get_logger(__name__)


class ApiRunner(web.AppRunner):
    """Like aiohttp's own, with a protocol of ours; aiohttp has no setting for it."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(
            server.request_handler,
            request_factory=server.request_factory,
            loop=asyncio.get_running_loop(),
            **server._kwargs,  # noqa: SLF001 -- what aiohttp set up for its own protocol serves ours
        )


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    """Answers what cannot be parsed, which no middleware ever sees."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer was under way already")
        if status >= 500:
            log.error("request_failed", error=repr(exc), exc_info=exc)
            response = problem(status, "Something went wrong on our side; the log has the details.")
        else:
            log.debug("request_unreadable", error=repr(exc), message=message)
            response = problem(
                status, "This is not a request that can be read: a line or header is broken or too long."
            )
        response.force_close()
        return response
