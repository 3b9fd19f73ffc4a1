"""An account that is followed no longer, over the whole service: who only listens hears of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from indexer.app.library import Indexer
from indexer.clients.exchange.account import ExchangeAccount
from indexer.demo.venue import Account, Venue
from indexer.domain.restarts import RestartPolicy
from tests.exchange.service import KEY, settings, under_another_key, until


async def heard(socket: ClientWebSocketResponse, *types: str) -> list[tuple[str, str]]:
    """The next such frames: their types, and why or of which kind they are."""
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(20):
        while len(found) < len(types):
            frame = await socket.receive_json()
            if frame["type"] in types:
                found.append((frame["type"], frame["data"].get("kind") or frame["data"]["reason"]))
    return found


async def test_one_that_dies_again_and_again_is_told_as_stale_until_it_is_followed_again(
    venue: Venue, main: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = RestartPolicy(first_seconds=0.001, longest_seconds=0.01)
    monkeypatch.setattr("actors.supervisor.RestartPolicy", lambda: hasty)

    async def broken(*_: object) -> None:
        raise TypeError("'NoneType' object is not iterable")

    known = settings(venue, main, tmp_path)
    async with Indexer(known) as indexer, ClientSession(indexer.url) as http, http.ws_connect("/ws") as socket:
        await asyncio.wait_for(indexer.ready(), 20)
        await socket.send_json({"op": "subscribe", "id": "1"})
        assert (await socket.receive_json())["type"] == "subscribed"
        changed = replace(known, exchanges={"desk": replace(known.exchanges["desk"], wallets=("spot",))})
        with monkeypatch.context() as patch:
            patch.setattr(ExchangeAccount, "listen", broken)
            await indexer.accounts.apply(known, changed)
            alert, stale = await heard(socket, "account.alert", "stream.stale")
        assert (alert[1], stale[0]) == ("not_followed", "stream.stale")
        assert "an error of ours" in stale[1]
        desk = indexer.account("binance", "desk")
        await until(lambda: desk.status().seq == indexer.positions.told()["exchange:binance:desk"])
        assert desk.status().state == "suspended"
        shown = indexer._metrics.render()[0].decode()
        assert 'indexer_account_breakers{exchange="binance",state="suspended"} 1.0' in shown
        await indexer.accounts.apply(changed, known)
        assert await heard(socket, "account.alert", "stream.live") == [
            ("account.alert", "not_followed"),
            ("stream.live", "the venue answers again"),
        ]


async def test_one_whose_credentials_cannot_be_unsealed_is_told_as_stale(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    async with under_another_key(venue, main, tmp_path) as again:
        stream = "exchange:binance:desk"
        before = again.positions.told()[stream]
        await until(lambda: again.positions.told()[stream] > before)
        async with asyncio.timeout(20):
            commits = await again.store.commits.since(stream, before, 10)
        assert [type(fact).__name__ for commit in commits for fact in commit.facts] == ["AccountAlert", "AccountStale"]
        shown = again._metrics.render()[0].decode()
        assert 'indexer_account_breakers{exchange="binance",state="suspended"} 1.0' in shown
        await again.accounts.change(KEY, credentials=main.credentials)
        await asyncio.wait_for(again.ready(), 20)
