"""Asking over HTTP: paths, pages and problems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from indexer.client import IndexerClient, NoIndexer, Problem, ServiceUnreachable, Unauthorized


@asynccontextmanager
async def answering(*answers: tuple[int, Any]) -> AsyncIterator[tuple[IndexerClient, list[str]]]:
    """A service that answers these in turn, and what it was asked."""
    asked: list[str] = []
    left = list(answers)

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.raw_path)
        status, body = left.pop(0)
        return (
            web.Response(status=status, text=body) if isinstance(body, str) else web.json_response(body, status=status)
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with IndexerClient(f"http://127.0.0.1:{runner.addresses[0][1]}/", "key") as client:
            yield client, asked
    finally:
        await runner.cleanup()


async def test_balances_are_read_to_the_last_page() -> None:
    pages = (200, {"items": [{"balance": "1"}], "next": "a+b"}), (200, {"items": [{"balance": "2"}], "next": None})
    async with answering(*pages) as (client, asked):
        assert await client.balances(chain=1, token="native") == [{"balance": "1"}, {"balance": "2"}]
    assert asked == [
        "/api/v1/balances?chain=1&token=native&limit=1000",
        "/api/v1/balances?chain=1&token=native&limit=1000&cursor=a%2Bb",
    ]


async def test_one_balance_its_history_and_statistics_have_their_paths() -> None:
    answers = [(200, {"balance": "1"}), (200, {"items": [], "next": None}), (200, {"count": 0}), (200, {})]
    async with answering(*answers) as (client, asked):
        await client.balance("ethereum", "native", "0xAb", block=5)
        await client.history(1, "native", "0xAb", limit=10, before=9, start="2026-01-01T00:00:00Z")
        await client.stats(1, "native", "0xAb")
        await client.status()
    assert asked == [
        "/api/v1/balances/ethereum/native/0xAb?block=5",
        "/api/v1/balances/1/native/0xAb/history?limit=10&before=9&from=2026-01-01T00:00:00Z",
        "/api/v1/balances/1/native/0xAb/stats",
        "/api/v1/status",
    ]


async def test_a_problem_names_its_field() -> None:
    body = {"type": "/docs", "title": "Not found", "status": 404, "detail": "no such chain", "field": "chain"}
    async with answering((404, body), (401, {"title": "API key needed"}), (502, "<html>")) as (client, _):
        with pytest.raises(Problem, match="no such chain") as refused:
            await client.balance(7, "native", "0xAb")
        assert (refused.value.status, refused.value.field) == (404, "chain")
        with pytest.raises(Unauthorized):
            await client.status()
        with pytest.raises(Problem, match="not JSON"):
            await client.status()


@pytest.mark.parametrize("body", ["<html>", "[]", '{"a":1}', '{"items":5,"next":null}'])
async def test_something_else_that_answers_is_told_from_an_indexer(body: str) -> None:
    async with answering(*[(200, body)] * 3) as (client, _):
        told = r"answers, but not as the indexer does \(status 200\)"
        with pytest.raises(NoIndexer, match=told):
            await client.balances()
        with pytest.raises(NoIndexer, match=told):
            await client.history(1, "native", "0xAb")
        if not body.startswith("{"):
            with pytest.raises(NoIndexer, match=told):
                await client.status()


async def test_a_service_that_is_not_there_is_named() -> None:
    async with IndexerClient("http://127.0.0.1:9") as client:
        with pytest.raises(ServiceUnreachable, match=r"127\.0\.0\.1:9"):
            await client.status()


async def test_it_is_used_as_a_context() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await IndexerClient("http://127.0.0.1:9").status()


async def test_a_login_in_the_url_is_in_no_message() -> None:
    async with IndexerClient("http://desk:hush@127.0.0.1:9", "key") as client:
        with pytest.raises(ServiceUnreachable) as caught:
            await client.status()
    assert "127.0.0.1:9 does not answer" in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ws://127.0.0.1:8080", "http://", "http://one:port", ""])
def test_what_is_no_url_of_a_service_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"^an http:// or https:// URL is expected$"):
        IndexerClient(url)
