"""One application over fakes, served on a free port, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from indexer.api.app import build_app
from indexer.api.server import ApiRunner
from repositories.accounts import AccountBooks
from repositories.database import connect_memory
from tests.api.fakes import (
    START,
    FakeAccounts,
    FakeBalances,
    FakeControl,
    FakeFreshness,
    FakeLog,
    FakeStatus,
    FakeWatching,
    update,
)

HttpClient = TestClient[web.Request, web.Application]


@dataclass
class World:
    """The fakes behind one application."""

    balances: FakeBalances = field(default_factory=FakeBalances)
    log: FakeLog = field(default_factory=FakeLog)
    freshness: FakeFreshness = field(default_factory=FakeFreshness)
    watching: FakeWatching = field(default_factory=FakeWatching)
    control: FakeControl = field(default_factory=FakeControl)
    status: FakeStatus = field(default_factory=FakeStatus)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    account_books: AccountBooks = field(default_factory=lambda: AccountBooks(connect_memory("api")))
    observed: list[tuple[str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.control.watching = self.watching

    def app(self, **settings: Any) -> web.Application:
        def observe(method: str, route: str, status: int, _seconds: float) -> None:
            self.observed.append((method, route, status))

        defaults: dict[str, Any] = {
            "version": "0.1.0",
            "epoch": "7f3a9c01",
            "subscribers": lambda: 3,
            "metrics": lambda: (b"indexer_up 1\n", "text/plain; version=0.0.4; charset=utf-8"),
            "observe": observe,
            "now": lambda: START + timedelta(seconds=0.4),
        }
        return build_app(
            balances=self.balances,
            log=self.log,
            freshness=self.freshness,
            watching=self.watching,
            control=self.control,
            status=self.status,
            accounts=self.accounts,
            account_books=self.account_books,
            **(defaults | settings),
        )


Serve = Callable[..., Awaitable[HttpClient]]


class _Server(TestServer):
    """Runs the application as the service does."""

    async def _make_runner(self, **kwargs: Any) -> ApiRunner:
        return ApiRunner(self.app, **kwargs)


@pytest.fixture
def world() -> World:
    """Alice's USDC: 5 at block 100, 7 at block 110."""
    return World(balances=FakeBalances([update(1, 5, 100), update(2, 7_500_000, 110, previous=5)]))


@pytest.fixture
async def serve(world: World) -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> HttpClient:
            return await stack.enter_async_context(TestClient(_Server(world.app(**settings))))

        yield start


@pytest.fixture
async def client(serve: Serve) -> HttpClient:
    return await serve()


async def problem_of(answer: ClientResponse, status: int, field: str | None = None) -> dict[str, Any]:
    """The problem, which has to be one, with this status and about this field."""
    text = await answer.text()
    assert answer.status == status, text
    assert answer.content_type == "application/problem+json", text
    body: dict[str, Any] = await answer.json(content_type=None)
    assert body["status"] == status
    assert {"type", "title", "detail"} <= body.keys()
    assert body.get("field") == field, body
    return body
