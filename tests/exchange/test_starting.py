"""Accounts that are about to be followed: they are known all the time, and what they hold is the last that was told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from indexer.app.accounts import Accounts
from indexer.app.library import Indexer
from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.config import RulesSettings, Settings, StoreSettings
from indexer.demo.venue import Account, Faults, Venue
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.facts import AssetUpdated
from indexer.domain.accounts.registry import Account as Followed
from indexer.domain.amounts import plain
from indexer.errors import GivenUp, Impossible
from tests.exchange.service import KEY, settings, until

STREAM = "exchange:binance:desk"


async def known_meanwhile(indexer: Indexer, key: AccountKey, work: Coroutine[Any, Any, object]) -> set[tuple[str, ...]]:
    """Its wallets at every turn of the loop until the work is done; every time it is in the status as well."""
    seen: set[tuple[str, ...]] = set()
    task = asyncio.ensure_future(work)
    while not task.done():
        seen.add(indexer.accounts.account(key).wallets)
        assert key in {account.key for account in indexer.accounts.all()}
        (status,) = (one for one in indexer.report.streams() if one.stream == STREAM)
        assert status.account is not None
        assert status.seq > 0
        await asyncio.sleep(0)
    await task
    return seen


async def test_what_an_account_held_before_a_restart_is_stale_until_it_is_read(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    known = replace(settings(venue, main, tmp_path), store=StoreSettings(url="embedded"))
    async with Indexer(known, serve=False) as indexer:
        await asyncio.wait_for(indexer.ready(), 20)
    venue.faults = Faults(slow=1.0, slow_seconds=30.0)
    async with Indexer(known) as again, ClientSession(again.url) as http, http.ws_connect("/ws") as socket:
        await socket.send_json({"op": "subscribe", "id": "1", "snapshot": True, "filters": [{"exchange": "binance"}]})
        assert (await socket.receive_json())["type"] == "subscribed"
        snapshot = await socket.receive_json()
        assert [(item["asset"], item["stale"]) for item in snapshot["items"]] == [("USDT", True)]
        async with http.get("/api/v1/status") as answer:
            shown = (await answer.json())["streams"][STREAM]
        assert (set(shown["account"]["stale"]), shown["seq"]) == ({"spot", "funding"}, snapshot["positions"][STREAM])


async def test_every_account_of_the_file_and_of_the_store_is_known_before_any_is_followed(
    venue: Venue, main: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the file names no wallets: it has all that there are."""
    without = replace(settings(venue, main, tmp_path, in_file=False), store=StoreSettings(url="embedded"))
    added = AccountKey("binance", "added")
    async with Indexer(without, serve=False) as indexer:
        await indexer.accounts.add(Followed(added, ("spot",), base_url=venue.url("binance")), main.credentials)
    known: dict[AccountKey, tuple[str, ...]] = {}
    start = Accounts.start

    async def looking(accounts: Accounts, settings: Settings) -> None:
        known.update({account.key: account.wallets for account in accounts.all()})
        await start(accounts, settings)

    monkeypatch.setattr(Accounts, "start", looking)
    desk = replace(settings(venue, main, tmp_path).exchanges["desk"], wallets=())
    async with Indexer(replace(without, exchanges={"desk": desk}), serve=False):
        assert known == {added: ("spot",), KEY: tuple(DIALECTS["binance"].wallets)}


async def test_an_account_that_is_changed_by_the_file_is_known_all_the_time(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    known = settings(venue, main, tmp_path)
    fewer = replace(known, exchanges={"desk": replace(known.exchanges["desk"], wallets=("spot",))})
    async with Indexer(known, serve=False) as indexer:
        await asyncio.wait_for(indexer.ready(), 20)
        seen = await known_meanwhile(indexer, KEY, indexer.accounts.apply(known, fewer))
        assert seen == {("spot", "funding"), ("spot",)}
        await asyncio.wait_for(indexer.ready(), 20)


async def test_an_account_of_the_api_is_known_all_the_time_while_file_and_rules_change(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    without, within = settings(venue, main, tmp_path, in_file=False), settings(venue, main, tmp_path)
    rules = replace(without, rules=RulesSettings(change_absolute=Decimal(100)))
    async with Indexer(without, serve=False) as indexer:
        await indexer.accounts.add(Followed(KEY, ("spot",), base_url=venue.url("binance")), main.credentials)
        await asyncio.wait_for(indexer.ready(), 20)
        assert await known_meanwhile(indexer, KEY, indexer.accounts.apply(without, rules)) == {("spot",)}
        await known_meanwhile(indexer, KEY, indexer.accounts.apply(rules, within))
        await known_meanwhile(indexer, KEY, indexer.accounts.apply(within, without))
        await known_meanwhile(indexer, KEY, indexer.accounts.change(KEY, poll_seconds=7))
        await asyncio.wait_for(indexer.ready(), 20)


async def test_a_refresh_of_an_account_that_is_just_being_opened_says_so(
    venue: Venue, main: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, may_close = ExchangeAccount.close, asyncio.Event()

    async def closing(connection: ExchangeAccount) -> None:
        await may_close.wait()
        await close(connection)

    monkeypatch.setattr(ExchangeAccount, "close", closing)
    known = settings(venue, main, tmp_path)
    async with Indexer(known, serve=False) as indexer:
        await asyncio.wait_for(indexer.ready(), 20)
        rules = replace(known.exchanges["desk"], rules=RulesSettings(change_absolute=Decimal(100)))
        task = asyncio.ensure_future(indexer.accounts.apply(known, replace(known, exchanges={"desk": rules})))
        await until(lambda: KEY in indexer.accounts._followed._coming)
        with pytest.raises(GivenUp, match="is being opened; try again in a moment"):
            await indexer.accounts.refresh(KEY)
        may_close.set()
        await task
        await indexer.accounts.refresh(KEY)


async def test_an_account_that_cannot_be_followed_is_known_as_such_from_the_start(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    known = settings(venue, main, tmp_path)
    other = replace(known, exchanges={"desk": replace(known.exchanges["desk"], wallets=("earn", "moon"))})  # type: ignore[arg-type]
    async with Indexer(other, serve=False) as indexer:
        assert [account.key for account in indexer.accounts.all()] == [KEY]
        with pytest.raises(Impossible, match="moon"):
            await indexer.accounts.refresh(KEY)


async def _heard(
    socket: ClientWebSocketResponse, *wanted: tuple[str, str]
) -> dict[tuple[str, str], tuple[str, str | None]]:
    """What is told of these first: the amount, and by how much it changed."""
    found: dict[tuple[str, str], tuple[str, str | None]] = {}
    async with asyncio.timeout(20):
        while set(wanted) - found.keys():
            frame = await socket.receive_json()
            if frame["type"] == "balance.updated":
                data = frame["data"]
                found.setdefault((data["wallet"], data["asset"]), (data["newBalance"], data["changeAmount"]))
    return found


async def test_what_an_account_holds_that_is_added_again_is_told_to_who_listens(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    """Their snapshot did not have it."""
    venue.truth.deposit(main, "funding", "ETH", "2")
    added = Followed(KEY, ("spot",), base_url=venue.url("binance"))
    served = Indexer(settings(venue, main, tmp_path, in_file=False))
    async with served as indexer, ClientSession(served.url) as http:
        await indexer.accounts.add(replace(added, wallets=("spot", "funding")), main.credentials)
        await asyncio.wait_for(indexer.ready(), 20)
        await indexer.accounts.remove(KEY)
        async with http.ws_connect("/ws") as socket:
            await socket.send_json({"op": "subscribe", "id": "1", "snapshot": True})
            assert (await socket.receive_json())["type"] == "subscribed"
            assert (await socket.receive_json())["items"] == []
            await indexer.accounts.add(added, main.credentials)
            told = await _heard(socket, ("spot", "USDT"))
            assert told == {("spot", "USDT"): ("1000.5", "0")}
            await asyncio.wait_for(indexer.ready(), 20)
            before = indexer.positions.told()[STREAM]
            await indexer.accounts.change(KEY, wallets=("spot", "funding"))
            assert await _heard(socket, ("funding", "ETH")) == {("funding", "ETH"): ("2", "0")}
            await asyncio.wait_for(indexer.ready(), 20)
            await indexer.accounts.refresh(KEY)
            commits = await indexer.store.commits.since(STREAM, before, 10)
            facts = [fact for commit in commits for fact in commit.facts if isinstance(fact, AssetUpdated)]
            assert [fact.slot.wallet for fact in facts] == ["funding"]


async def test_what_an_account_holds_that_was_followed_before_a_restart_is_not_told_again(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    known = replace(settings(venue, main, tmp_path), store=StoreSettings(url="embedded"))
    async with Indexer(known, serve=False) as indexer:
        await asyncio.wait_for(indexer.ready(), 20)
        before = indexer.positions.told()[STREAM]
    async with Indexer(known, serve=False) as again:
        await asyncio.wait_for(again.ready(), 20)
        other = replace(known.exchanges["desk"], poll_seconds=7)
        await again.accounts.apply(known, replace(known, exchanges={"desk": other}))
        await asyncio.wait_for(again.ready(), 20)
        assert again.positions.told()[STREAM] == before


async def _told_by_a_life(known: Settings) -> list[tuple[str, str, str | None]]:
    """Of one life of the service from its start until it is ready: wallet, asset, and by how much it changed."""
    told: list[AssetUpdated] = []
    indexer = Indexer(known, serve=False)
    async with indexer:
        indexer.listen(lambda event: told.append(event.fact) if isinstance(event.fact, AssetUpdated) else None, None)
        await asyncio.wait_for(indexer.ready(), 20)
    return [(one.slot.wallet, one.slot.asset, plain(one.change)) for one in told]


async def test_what_is_in_a_wallet_that_came_into_the_file_while_the_service_was_down_is_told(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    """Who took a snapshot while nobody followed it has none of its amounts."""
    venue.truth.deposit(main, "funding", "ETH", "2")
    both = replace(settings(venue, main, tmp_path), store=StoreSettings(url="embedded"))
    one = replace(both, exchanges={"desk": replace(both.exchanges["desk"], wallets=("spot",))})
    none = replace(both, exchanges={})
    assert sorted(await _told_by_a_life(both)) == [("funding", "ETH", None), ("spot", "USDT", None)]
    assert await _told_by_a_life(one) == []
    assert await _told_by_a_life(both) == [("funding", "ETH", "0")]
    assert await _told_by_a_life(both) == []
    async with Indexer(none, serve=False):
        pass
    assert sorted(await _told_by_a_life(both)) == [("funding", "ETH", "0"), ("spot", "USDT", "0")]
