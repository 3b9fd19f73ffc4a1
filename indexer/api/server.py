"""What runs the application: problems even for those who do not speak HTTP, and bodies left as they were packed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final, get_args

import orjson
import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod

from indexer.api.problems import PROBLEM_JSON, problem, problem_json
from indexer.api.routes import Method

log = structlog.get_logger(__name__)

METHODS: Final = ", ".join(sorted({*get_args(Method), "HEAD", "OPTIONS"}))

IDLE_SECONDS: Final = 75.0
"""Longer than proxies keep a connection that nobody uses (nginx and others: 60), so that it is not we who close it."""

_REQUEST_LINE: Final = re.compile(r"b'([A-Za-z0-9!#$%&*+.^_`|~-]+) \S+ HTTP/1\.[01]'")
"""As the parser repeats it; what does not look like one (TLS, for example) is no request at all."""


def no_method(method: str) -> str:
    return f"There is no method {method} here; there are {METHODS}."


class ApiRunner(web.AppRunner):
    """Like aiohttp's own, with a protocol of ours; aiohttp has no setting for it."""

    def __init__(
        self,
        app: web.Application,
        *,
        room: Callable[[], int] = lambda: 3_000,
        idle_seconds: float = IDLE_SECONDS,
        **more: Any,
    ) -> None:
        super().__init__(app, keepalive_timeout=idle_seconds, **more)
        self._room = room

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(
            server.request_handler,
            request_factory=server.request_factory,
            loop=asyncio.get_running_loop(),
            room=self._room,
            **server._kwargs | {"auto_decompress": False},  # noqa: SLF001 -- as aiohttp set up its own
        )


class _Server(web.Server):
    """Has as many connections as there is room for just now: those that wait for their client make it for others."""

    def __init__(self, *args: Any, room: Callable[[], int], **more: Any) -> None:
        super().__init__(*args, **more)
        self._room = room
        self._is_full = False

    def __call__(self) -> _Protocol:
        return _Protocol(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        others = [one for one in self._connections if isinstance(one, _Protocol) and one is not handler and one.is_open]
        most = self._room()
        if len(others) < most:
            self._is_full = self._is_full and len(others) > most * 0.9
            return
        if not self._is_full:
            self._is_full = True
            log.warning("connections_full", connections=most)
        waiting = [one for one in others if one.waits_for_client]
        if waiting:
            min(waiting, key=lambda one: one.to_be_spared).cut()
        else:
            _refuse(transport)
            if isinstance(handler, _Protocol):
                handler.leave()


class _Protocol(web.RequestHandler):
    """Answers what cannot be parsed, which no middleware ever sees."""

    _is_cut = False

    @property
    def is_open(self) -> bool:
        return not (self._is_cut or self._force_close)

    @property
    def waits_for_client(self) -> bool:
        """For a request, the rest of one, or for an answer to be taken; a websocket is its hub's affair."""
        if self._payload_parser is not None:
            return False
        request = self._current_request
        if request is None:
            return not self._messages
        return self.writing_paused or not request.content.is_eof()

    @property
    def to_be_spared(self) -> tuple[bool, bool, float]:
        """The more, the less it had of us: one that has not asked yet may be about to; then, the shorter it waits.

        Of those that have, one in the middle of an answer before all that are idle: a slow reader is that all the time.
        """
        is_amid = self._current_request is not None or self.writing_paused
        return self._request_count == 0, is_amid, self._next_keepalive_close_time

    def leave(self) -> None:
        """It counts no more, and is closed once aiohttp has begun with it."""
        self._is_cut = True
        self._loop.call_soon(self.force_close)

    def _handle_request(self, request: Any, start_time: float | None, request_handler: Any) -> Any:
        """At once it is at work: aiohttp notes that in the task's first turn, and until then it would seem idle."""
        self._current_request = request
        return super()._handle_request(request, start_time, request_handler)

    def cut(self) -> None:
        """As if the client had gone; what it does not read would keep a connection open that is closed."""
        self._is_cut = True
        if self.transport is not None:
            self.transport.abort()

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


def _refuse(transport: asyncio.Transport) -> None:
    """Before anything was asked; whoever asks at once may find the connection closed."""
    body = orjson.dumps(problem_json(503, "There are too many connections just now."))
    head = (
        f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {PROBLEM_JSON}\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    )
    transport.write(head.encode() + body)


def _refusal(status: int, error: BaseException | None) -> web.Response:
    line = _REQUEST_LINE.search(str(error)) if isinstance(error, BadHttpMethod) else None
    if line is None:
        return problem(status, "This is not a request that can be read: a line or header is broken or too long.")
    return problem(405, no_method(line[1][:64]), headers={"Allow": METHODS})
