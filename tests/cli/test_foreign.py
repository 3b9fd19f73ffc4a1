"""Something else that speaks JSON at the address is told from an indexer, whatever is asked of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from indexer.cli import main
from tests.cli.conftest import ACME, STATUS, Service, event
from tests.cli.test_tail import sending, seqs

Capture = pytest.CaptureFixture[str]

COMMANDS = [
    ("status",),
    ("status", "--json"),
    ("balances",),
    ("balances", "--json"),
    ("history", "1", "native", ACME),
    ("tail",),
    ("audit",),
    ("audit", "--json"),
    ("backfill",),
    ("accounts", "list"),
    ("accounts", "remove", "binance/desk"),
    ("accounts", "refresh", "binance/desk"),
]


class Other:
    """Answers the same to everything, websockets as well."""

    def __init__(self) -> None:
        self.url = ""
        self.answer = "{}"
        self.frame: str | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.frame is None or request.path != "/ws":
            return web.Response(text=self.answer, content_type="application/json")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(self.frame)
        await socket.receive()
        await socket.receive()
        return socket

    async def run(self, *argv: str) -> int:
        return await asyncio.to_thread(main, [*argv, "--url", self.url])


@pytest_asyncio.fixture
async def other() -> AsyncIterator[Other]:
    state = Other()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", state.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    state.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield state
    await runner.cleanup()


@pytest.mark.parametrize(
    "answer", ['{"a":1}', "[]", "7", '{"items":5,"next":null}', '{"items":[5],"next":null}'], ids=repr
)
async def test_json_of_something_else_is_no_answer(other: Other, capsys: Capture, answer: str) -> None:
    other.answer = answer
    for argv in COMMANDS:
        assert (await other.run(*argv), argv) == (1, argv)
        captured = capsys.readouterr()
        assert (captured.out, argv) == ("", argv)
        assert captured.err == (
            f"indexer: {other.url} answered, but not as the indexer does (status 200); is --url right?\n"
        )


FOREIGN: list[Any] = [
    "hello",
    "[]",
    "7",
    '{"hello": 1}',
    '{"type": 5}',
    '{"type": "gap"}',
    '{"type": "error", "message": "who?"}',
    '{"type": "heartbeat", "streams": 5}',
    '{"type": "trade", "seq": 5}',
]


@pytest.mark.parametrize("frame", FOREIGN)
async def test_a_websocket_of_something_else_ends_tail(other: Other, capsys: Capture, frame: str) -> None:
    other.answer, other.frame = json.dumps(STATUS), frame
    assert await asyncio.wait_for(other.run("tail"), 20) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"indexer: {other.url} answered over its websocket, but not as the indexer does; is --url right?\n"
    )


async def test_tail_outlasts_a_proxy_that_speaks_for_a_service_that_was_there(
    service: Service, capsys: Capture
) -> None:
    async def babble(socket: web.WebSocketResponse, _subscription: Any) -> None:
        await socket.send_str("back soon")
        await socket.receive()

    service.connections = [sending(event(42)), babble, sending(event(43), stay=True)]
    assert await service.run("tail", "--json", "--limit", "2") == 0
    assert seqs(capsys) == [42, 43]
