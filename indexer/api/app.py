"""The aiohttp application: one table of routes, and what every request passes through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

from aiohttp import web

from indexer.api.access import Access, ApiKey
from indexer.api.accounts.balances import AccountBalancesResource
from indexer.api.accounts.registry import AccountsResource
from indexer.api.audit import AuditResource
from indexer.api.backfill import BackfillResource
from indexer.api.balances import BalancesResource
from indexer.api.bounded import StoreAnswers, StoreBound
from indexer.api.documents import DocumentsResource
from indexer.api.events import EventsResource
from indexer.api.followed import Followed
from indexer.api.health import HealthResource
from indexer.api.history import HistoryResource
from indexer.api.packing import MAX_BODY_BYTES, TOO_LARGE
from indexer.api.parameters import Query
from indexer.api.ports import AccountBooks, AccountControl, Balances, CommitLog, Control, Freshness, Status, Watching
from indexer.api.problems import BadRequest, Handler, as_problems, problem
from indexer.api.reload import ReloadResource
from indexer.api.routes import Answer, Parameter, Route
from indexer.api.server import METHODS, no_method
from indexer.api.solvers import SolversResource
from indexer.api.status import StatusResource
from indexer.api.tokens import TokensResource

ROUTES: Final = web.AppKey("routes", tuple[Route, ...])
ACCESS: Final = web.AppKey("access", Access)

Observe = Callable[[str, str, int, float], None]
"""Told of every answer: method, route (`unknown` where there is none), status, seconds."""


def build_app(
    *,
    balances: Balances,
    log: CommitLog,
    freshness: Freshness,
    watching: Watching,
    control: Control,
    status: Status,
    accounts: AccountControl,
    account_books: AccountBooks,
    epoch: str,
    version: str,
    ws_handler: Handler | None = None,
    subscribers: Callable[[], int] = lambda: 0,
    metrics: Callable[[], tuple[bytes, str]] = lambda: (b"", "text/plain; charset=utf-8"),
    observe: Observe = lambda _method, _route, _status, _seconds: None,
    store_answers: StoreAnswers | None = None,
    keys: Sequence[ApiKey] = (),
    local_only: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> web.Application:
    """`local_only`: bound to loopback without keys, so that no foreign host name is answered (DNS rebinding).

    Without `store_answers` requests wait for the store as long as its driver does.
    """
    followed = Followed(freshness=freshness, status=status)
    documents = DocumentsResource(version=version)
    routes = (
        *BalancesResource(balances=balances, watching=watching, control=control, followed=followed).routes(),
        *HistoryResource(balances=balances, watching=watching, followed=followed, now=now).routes(),
        *SolversResource(watching=watching).routes(),
        *TokensResource(watching=watching).routes(),
        *BackfillResource(control=control, watching=watching, status=status).routes(),
        *AccountsResource(accounts=accounts, status=status).routes(),
        *AccountBalancesResource(
            books=account_books, accounts=accounts, freshness=freshness, status=status, now=now
        ).routes(),
        *EventsResource(log=log, freshness=freshness, status=status, epoch=epoch).routes(),
        *StatusResource(status=status, freshness=freshness, subscribers=subscribers, now=now).routes(),
        *ReloadResource(control=control).routes(),
        *AuditResource(control=control).routes(),
        *HealthResource(status=status, watching=watching, metrics=metrics).routes(),
        *documents.routes(),
        *(() if ws_handler is None else (_websocket(ws_handler),)),
    )
    documents.describe(routes)
    access = Access(keys=keys, local_only=local_only)
    gate = _Gate(routes, access, observe)
    bound = None if store_answers is None else StoreBound(store_answers)
    middlewares = [gate.observed, as_problems, *(() if bound is None else (bound.bounded,)), gate.guarded]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    if bound is not None:
        app.on_cleanup.append(bound.close)
    app[ROUTES] = routes
    app[ACCESS] = access
    for route in routes:
        # `add_get` answers HEAD, too, which a websocket cannot.
        if route.method == "GET" and route.path != "/ws":
            app.router.add_get(route.path, route.handler, expect_handler=_expected)
        else:
            app.router.add_route(route.method, route.path, route.handler, expect_handler=_expected)
    return app


class _Gate:
    """What stands before every handler."""

    def __init__(self, routes: Sequence[Route], access: Access, observe: Observe) -> None:
        self._routes: Mapping[tuple[str, str], Route] = {(route.method, route.path): route for route in routes}
        self._access = access
        self._observe = observe

    @web.middleware
    async def observed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = perf_counter()
        response = await handler(request)
        if not isinstance(response, web.WebSocketResponse):
            route = self._route(request)
            name = "unknown" if route is None else route.path
            self._observe(request.method if route else "other", name, response.status, perf_counter() - started)
        return response

    @web.middleware
    async def guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The length is known before a byte of the body is read; a body without one is counted while it is read."""
        route = self._route(request)
        self._access.check(request, route)
        if request.method == "CONNECT":  # names no path, so that no route tells what it is not
            raise BadRequest(405, no_method("CONNECT"), headers={"Allow": METHODS})
        if route is not None:
            if (request.content_length or 0) > MAX_BODY_BYTES:
                raise BadRequest(413, TOO_LARGE)
            Query(request.query).refuse_unknown(parameter.name for parameter in route.query)
        return await handler(request)

    def _route(self, request: web.Request) -> Route | None:
        resource = request.match_info.route.resource
        if resource is None:
            return None
        method = "GET" if request.method == "HEAD" else request.method
        return self._routes.get((method, resource.canonical))


async def _expected(request: web.Request) -> web.StreamResponse | None:
    """Runs before all middlewares, so that a body that will be refused for its length is not even sent."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        return problem(417, "Only `Expect: 100-continue` can be met.")
    if (request.content_length or 0) <= MAX_BODY_BYTES:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The writer counts from here, as if nothing had been sent: this was not the answer.
        request.writer.output_size = 0
    return None


def _websocket(handler: Handler) -> Route:
    return Route(
        method="GET",
        path="/ws",
        handler=handler,
        summary="Events as they happen, over a websocket",
        tag="events",
        query=(Parameter("api_key", "An API key, where no header can be set.", {"type": "string"}),),
        answers={101: Answer("Switched to a websocket; see the documentation of its frames.", content_type="")},
    )
