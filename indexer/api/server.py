"""What runs the application: problems even for those who do not speak HTTP, and bodies left as they were packed."""

from __future__ import annotations

import asyncio
import re
from typing import Final, get_args

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod

from indexer.api.problems import problem
from indexer.api.routes import Method

log = structlog.get_logger(__name__)

METHODS: Final = ", ".join(sorted({*get_args(Method), "HEAD", "OPTIONS"}))

_REQUEST_LINE: Final = re.compile(r"b'([A-Za-z0-9!#$%&*+.^_`|~-]+) \S+ HTTP/1\.[01]'")
"""As the parser repeats it; what does not look like one (TLS, for example) is no request at all."""


def no_method(method: str) -> str:
    return f"There is no method {method} here; there are {METHODS}."


class ApiRunner(web.AppRunner):
    """Like aiohttp's own, with a protocol of ours; aiohttp has no setting for it."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(
            server.request_handler,
            request_factory=server.request_factory,
            loop=asyncio.get_running_loop(),
            **server._kwargs | {"auto_decompress": False},  # noqa: SLF001 -- as aiohttp set up its own
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
            response = _refusal(status, exc)
        response.force_close()
        return response


def _refusal(status: int, error: BaseException | None) -> web.Response:
    line = _REQUEST_LINE.search(str(error)) if isinstance(error, BadHttpMethod) else None
    if line is None:
        return problem(status, "This is not a request that can be read: a line or header is broken or too long.")
    return problem(405, no_method(line[1][:64]), headers={"Allow": METHODS})
