from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from indexer.api.bodies import read_object
from indexer.api.server import ApiRunner
from tests.api.conftest import World

JSON = "Content-Type: application/json\r\n"


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    runner = ApiRunner(world.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def raw_answer(url: str, raw: bytes) -> bytes:
    """Head and body of the first answer to these bytes; the connection may linger."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(raw)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            return head + await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_it_answers_where_it_says(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"POST /api/v1/solvers HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_answered_with_a_problem(url: str, raw: bytes) -> None:
    answer = await raw_answer(url, raw)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert b"application/problem+json" in head
    assert orjson.loads(body)["status"] == 400


@pytest.mark.parametrize("method", ["BREW", "get", "POSTS", "GE", "X" * 100])
async def test_an_unknown_method_is_a_problem_that_names_those_there_are(url: str, method: str) -> None:
    answer = await raw_answer(url, f"{method} /docs HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 405 " in head.splitlines()[0]
    assert b"\r\nAllow: DELETE, GET, HEAD, OPTIONS, PATCH, POST\r\n" in head
    assert orjson.loads(body)["detail"].startswith(f"There is no method {method[:64]} here")


@pytest.mark.parametrize("target", ["/api/v1/balances", "/nope", "elsewhere.example:443"])
async def test_nobody_is_connected_through_to_elsewhere(url: str, target: str) -> None:
    answer = await raw_answer(url, f"CONNECT {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 405 " in head.splitlines()[0]
    assert b"\r\nAllow: DELETE, GET, HEAD, OPTIONS, PATCH, POST\r\n" in head
    assert orjson.loads(body)["detail"].startswith("There is no method CONNECT here")


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br"])
async def test_a_body_that_is_packed_as_we_cannot_unpack_is_a_415(url: str, encoding: str) -> None:
    head = (
        f"POST /api/v1/solvers HTTP/1.1\r\nHost: a\r\n{JSON}Content-Encoding: {encoding}\r\nContent-Length: 2\r\n\r\n"
    )
    answer = await raw_answer(url, head.encode() + b"{}")
    assert b" 415 " in answer.splitlines()[0]
    assert encoding.encode() in answer


@pytest.mark.parametrize(
    "rest",
    [
        "Content-Length: 200\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        "Content-Encoding: gzip\r\nContent-Length: 200\r\n\r\n\x1f",
    ],
)
async def test_who_leaves_within_a_body_leaves_no_trace_in_the_log(
    url: str, world: World, caplog: pytest.LogCaptureFixture, rest: str
) -> None:
    parts = urlsplit(url)
    with capture_logs() as logs:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"POST /api/v1/solvers HTTP/1.1\r\nHost: a\r\n{JSON}{rest}".encode())
        await writer.drain()
        writer.close()
        async with asyncio.timeout(10):
            while not world.observed:  # noqa: ASYNC110 -- nobody is told of an answer that nobody waits for
                await asyncio.sleep(0.01)
    assert world.observed == [("POST", "/api/v1/solvers", 400)]
    assert (logs, caplog.records) == ([], [])


async def test_a_body_that_is_too_long_is_refused_before_it_is_sent(url: str) -> None:
    head = b"POST /api/v1/solvers HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
    answer = await raw_answer(url, head + b"Content-Length: 9999999\r\nExpect: 100-continue\r\n\r\n")
    assert b" 413 " in answer.splitlines()[0]


@asynccontextmanager
async def served(app: web.Application, **bounds: Any) -> AsyncIterator[str]:
    runner = ApiRunner(app, access_log=None, **bounds)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def connected(url: str, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(sent)
    return reader, writer


HALF_A_BODY = f"POST /api/v1/solvers HTTP/1.1\r\nHost: a\r\n{JSON}Content-Length: 99\r\n\r\n{{".encode()
HALVES = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"GET /health HTTP/1.1\r\nHost: 127", id="half a head"),
    pytest.param(HALF_A_BODY, id="half a body"),
    pytest.param(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", id="kept alive"),
]


@pytest.mark.parametrize("sent", HALVES)
async def test_a_connection_that_sends_no_more_is_closed_after_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("indexer.api.bodies.BODY_SECONDS", 0.2)
    async with served(world.app(), idle_seconds=0.2, lingering_time=0.1) as url:
        reader, writer = await connected(url, sent)
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()


async def test_a_body_that_does_not_come_is_a_408(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.api.bodies.BODY_SECONDS", 0.05)
    async with served(world.app()) as url:
        answer = await raw_answer(url, HALF_A_BODY)
    assert b" 408 " in answer.splitlines()[0]
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 408


@pytest.mark.parametrize("sent", HALVES)
async def test_connections_that_wait_for_their_clients_make_room_for_others(world: World, sent: bytes) -> None:
    async with served(world.app(), room=lambda: 5) as url:
        waiting = [await connected(url, sent) for _ in range(12)]
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
            assert answer.status == 200
        async with asyncio.timeout(5):
            await waiting[0][0].read()  # the first one to come is cut
        for _, writer in waiting:
            writer.close()


async def test_what_room_there_is_for_connections_may_change(world: World) -> None:
    room = 1
    async with served(world.app(), room=lambda: room) as url:
        first, asking = await connected(url)
        room = 2
        _, new = await connected(url)
        asking.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 200 " in await first.readline()
        await first.read(10_000)
        room = 1
        await raw_answer(url, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(5):
            await first.read()
        for writer in (asking, new):
            writer.close()


async def test_a_request_that_is_cut_before_it_is_read_is_no_mistake_of_ours(world: World) -> None:
    begun, done = asyncio.Event(), asyncio.Event()

    async def late(request: web.Request) -> web.Response:
        begun.set()
        try:
            while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0)  # as close behind the cut as can be
            await read_object(request, ())
        finally:
            done.set()
        return web.Response()

    app = world.app()
    app.router.add_post("/late", late)
    with capture_logs() as logs:
        async with served(app, room=lambda: 1) as url:
            _, waiting = await connected(url, HALF_A_BODY.replace(b"/api/v1/solvers", b"/late"))
            await begun.wait()
            _, new = await connected(url)
            await done.wait()
            await asyncio.sleep(0.01)
            for writer in (waiting, new):
                writer.close()
    assert [line["event"] for line in logs] == ["connections_full"]


async def test_a_connection_that_was_answered_makes_room_before_one_that_is_about_to_ask(world: World) -> None:
    async with served(world.app(), room=lambda: 2) as url:
        new, asking = await connected(url)
        answered, idle = await connected(url, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        await answered.readuntil(b"\r\n\r\n")
        await raw_answer(url, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(5):
            await answered.read()
        asking.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 200 " in await new.readline()
        for writer in (asking, idle):
            writer.close()


async def test_an_answer_that_is_being_read_is_not_cut_while_somebody_is_idle(world: World) -> None:
    app = world.app()

    async def big(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 8_000_000)

    app.router.add_get("/big", big)
    async with served(app, room=lambda: 3) as url:
        reading, asker = await connected(url, b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await reading.readuntil(b"\r\n\r\n")
        idle = [await connected(url, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(2)]
        for reader, _ in idle:
            await reader.readuntil(b"\r\n\r\n")
        await raw_answer(url, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert len(await reading.read()) == 8_000_000
        for writer in (asker, *(writer for _, writer in idle)):
            writer.close()


async def test_a_request_that_has_just_come_is_answered_though_its_client_was_idle_for_longest(
    world: World,
) -> None:
    async with served(world.app(), room=lambda: 2) as url:
        (first, asking), (second, idle) = [
            await connected(url, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(2)
        ]
        for reader in (first, second):
            assert b" 200 " in await reader.readline()
            await asyncio.sleep(0.01)
        await first.read(10_000)
        asking.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        _, new = await connected(url)
        async with asyncio.timeout(5):
            assert b" 200 " in await first.readline()
        for writer in (asking, idle, new):
            writer.close()


async def test_connections_that_we_work_for_are_kept_and_one_more_is_refused_with_a_problem(world: World) -> None:
    freed, mistakes = asyncio.Event(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, mistake: mistakes.append(mistake))

    async def work(_: web.Request) -> web.Response:
        await freed.wait()
        return web.Response(text="done")

    app = world.app()
    app.router.add_get("/work", work)
    runner = ApiRunner(app, access_log=None, room=lambda: 2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    with capture_logs() as logs:
        busy = [await connected(url, b"GET /work HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") for _ in range(2)]
        await asyncio.sleep(0.05)
        for _ in range(2):
            answer = await raw_answer(url, b"")
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b" 503 " in head.splitlines()[0]
            assert b"application/problem+json" in head
            assert b"Retry-After: 5" in head
            assert orjson.loads(body)["status"] == 503
        freed.set()
        for reader, writer in busy:
            assert (await reader.read()).endswith(b"done")
            writer.close()
    await runner.cleanup()
    gc.collect()
    assert not mistakes
    assert [line["event"] for line in logs] == ["connections_full"]
