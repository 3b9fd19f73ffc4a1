"""The HTTP face: every request passes faults, weights and signature before its dialect answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from aiohttp import web

from indexer.demo.venue.dialects.base import Answer, Ask, Dialect, Refused, Route
from indexer.demo.venue.faults import Dice
from indexer.demo.venue.sockets import Socket, Sockets
from indexer.demo.venue.state import Account, AccountState
from indexer.demo.venue.truth import Truth
from indexer.demo.venue.weights import Weights
from indexer.demo.venue.wire import encoded

_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_BROKEN_BODIES = {"empty_body": "", "not_json": "upstream connect error or disconnect", "empty_answer": "{}"}


class Server:
    """One loopback port for all dialects; the first part of a path says which."""

    def __init__(
        self,
        *,
        dialects: Mapping[str, Dialect],
        truth: Truth,
        weights: Weights,
        dice: Dice,
        sockets: Sockets,
        now: Callable[[], float],
        expire: Callable[[Account], None],
    ) -> None:
        self.port = 0
        self.requests: Counter[tuple[str, str]] = Counter()
        self._dialects = dialects
        self._truth = truth
        self._weights = weights
        self._dice = dice
        self._sockets = sockets
        self._now = now
        self._expire = expire
        self._runner: web.AppRunner | None = None

    async def start(self, *, on_port: bool = True) -> None:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{dialect}{path:(/.*)?}", self._serve)
        # A client that hangs must not hold up our end.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        if not on_port:
            return
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def protocol(self) -> asyncio.Protocol:
        """Our end of one more connection, for a transport that is not a port's."""
        if self._runner is None or self._runner.server is None:
            raise ConnectionRefusedError("the venue is closed")
        made = self._runner.server()
        if not isinstance(made, asyncio.Protocol):
            raise TypeError(f"{type(made).__name__} takes no bytes")
        return made

    async def stop(self) -> None:
        await self._sockets.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        dialect = self._dialects.get(request.match_info["dialect"])
        if dialect is None:
            return web.Response(status=404, text="no such venue here")
        path = request.match_info["path"]
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._talk(request, dialect, path)
        ask = Ask(
            method=request.method,
            path=path,
            query=request.rel_url.raw_query_string,
            headers=request.headers,
            body=await request.text(),
            ip=request.remote or "",
        )
        self.requests[dialect.name, path] += 1
        fault = self._dice.request(path)
        if fault == "slow":
            await asyncio.sleep(self._dice.faults.slow_seconds)
        if fault == "lost_connection" and request.transport is not None:
            request.transport.abort()
        try:
            answer = self._answer(dialect, ask, fault)
        except Refused as refusal:
            answer = refusal.answer
        return self._spoilt(fault) or self._written(dialect, ask, answer, fault)

    async def _talk(self, request: web.Request, dialect: Dialect, path: str) -> web.StreamResponse:
        session = dialect.session(path, request.query, request.remote or "")
        if session is None:
            return web.Response(status=404, text="no such socket")
        if self._sockets.are_refused(dialect.name):
            return web.Response(status=503, text="Service Unavailable")
        ws = web.WebSocketResponse(autoping=False, max_msg_size=1 << 20, timeout=0.2)
        await ws.prepare(request)
        socket = Socket(request, ws, dialect, session, self._dice)
        self._sockets.add(socket)
        try:
            await socket.run()
        finally:
            self._sockets.discard(socket)
        return ws

    def _answer(self, dialect: Dialect, ask: Ask, fault: str | None) -> Answer:
        route = dialect.route(ask)
        if route is None:
            raise dialect.unknown(ask)
        costs = dialect.costs(route, ask)
        overdrawn = self._weights.charge(dialect.name, costs, ip=ask.ip, key=dialect.caller(ask), now=self._now())
        if overdrawn is not None:
            raise dialect.overdrawn(overdrawn)
        told = self._signed(dialect, ask, fault) if route.signed else ask
        return self._told(dialect, route, told)

    def _signed(self, dialect: Dialect, ask: Ask, fault: str | None) -> Ask:
        account = dialect.admitted(ask)
        if fault == "expired_key":
            self._expire(account)
            raise dialect.expired()
        age = self._dice.faults.stale_seconds if fault == "stale" else 0.0
        state = self._truth.state(account, age)
        if fault == "empty_balances":
            state = AccountState(state.seq, state.time_ms, {})
        return replace(ask, account=account, state=state)

    def _told(self, dialect: Dialect, route: Route, ask: Ask) -> Answer:
        try:
            payload = route.answer(ask)
        except ValueError as error:  # a number in the question that is none
            raise dialect.malformed(ask) from error
        return replace(
            payload if isinstance(payload, Answer) else Answer(payload), headers=dict(dialect.headers(ask, route))
        )

    def _written(self, dialect: Dialect, ask: Ask, answer: Answer, fault: str | None) -> web.Response:
        numbers = fault == "floats" or dialect.told_numbers(ask)
        return web.Response(
            body=encoded(answer.payload, places=dialect.places, numbers=numbers),
            status=answer.status,
            headers=answer.headers,
            content_type="application/json",
        )

    def _spoilt(self, fault: str | None) -> web.Response | None:
        """The answers that look the same at every venue, because something in front of it wrote them."""
        match fault:
            case "html":
                return web.Response(status=502, text=_HTML, content_type="text/html")
            case "unavailable":
                return web.Response(status=503, text='{"code":-1}', content_type="application/json")
            case "throttled":
                wait = f"{self._dice.faults.retry_after_seconds:g}"
                return web.Response(status=429, text="Too Many Requests", headers={"Retry-After": wait})
            case "empty_body" | "not_json" | "empty_answer":
                return web.Response(text=_BROKEN_BODIES[fault], content_type="application/json")
            case _:
                return None
