"""The listening socket, and problems even for those who do not speak HTTP."""

from __future__ import annotations

import asyncio
import errno
from typing import Final

import structlog
from aiohttp import web

from indexer.api.problems import problem
from indexer.errors import CannotListen

log = structlog.get_logger(__name__)

_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_REASONS: Final = {
    errno.EADDRINUSE: "the port is taken by another process",
    errno.EACCES: "this user may not listen on that port",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
}


class HttpServer:
    """One application on one port; port 0 means any that is free."""

    def __init__(self, app: web.Application, *, host: str, port: int, shutdown_seconds: float = 5.0) -> None:
        self._runner = _Runner(app, access_log=None, shutdown_timeout=shutdown_seconds)
        self._host = host
        self._port = port

    async def start(self) -> str:
        """The address at which a browser on this machine reaches it."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = _REASONS.get(error.errno or 0, error.strerror or "it cannot be used")
            raise CannotListen(f"cannot listen on {self._host} port {self._port}: {reason}") from error
        host = _WILDCARDS.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Takes no more requests, lets those under way finish, then closes what is left."""
        await self._runner.cleanup()


class _Runner(web.AppRunner):
    """Hands out our protocol; aiohttp has no setting for it."""

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
