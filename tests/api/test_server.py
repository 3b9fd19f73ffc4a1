from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

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
