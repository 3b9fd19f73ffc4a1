"""Exchange accounts inside somebody's own program: from many tasks, and from other threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from indexer import Indexer, SyncIndexer
from indexer.app.desk import AssetHeld, CurrentRecord
from indexer.config import Settings
from indexer.demo.venue import Account, Venue
from indexer.domain.accounts.amounts import AccountKey, Amounts
from indexer.domain.accounts.facts import AssetChanged, AssetUpdated
from indexer.domain.telling.commits import Event
from indexer.errors import NotFound, Stopped
from tests.domain.accounts.builders import TIME, held
from tests.exchange.service import settings, until


@pytest.fixture
def main(venue: Venue) -> Account:
    account = venue.account("binance")
    venue.truth.deposit(account, "spot", "USDT", "1000.50")
    venue.truth.deposit(account, "funding", "USDT", "0.000000000000000001")
    return account


@pytest.fixture
async def indexer(venue: Venue, main: Account, tmp_path: Path) -> AsyncIterator[Indexer]:
    async with Indexer(settings(venue, main, tmp_path), serve=False) as running:
        await asyncio.wait_for(running.ready(), 20)
        await until(lambda: running.account("binance", "desk").status().heads == "ws")
        yield running


def total(found: AssetHeld | None) -> Decimal | None:
    assert found is not None
    return found.amounts.total


async def test_a_program_asks_for_an_asset_over_all_wallets_or_one(indexer: Indexer) -> None:
    desk = indexer.account("binance", "desk")
    for nowhere in (desk.get_balance("USDT", "margin"), desk.history("spot", "DOGE"), desk.stats("margin", "USDT")):
        with pytest.raises(NotFound):
            await nowhere
    assert total(await desk.get_balance("USDT")) == Decimal("1000.500000000000000001")
    assert total(await desk.get_balance("USDT", "spot")) == Decimal("1000.50")
    assert await desk.get_balance("DOGE") is None
    assert [(row.slot.wallet, row.slot.asset) for row in await desk.balances()] == [
        ("funding", "USDT"),
        ("spot", "USDT"),
    ]
    assert desk.account.wallets == ("spot", "funding")
    status = desk.status()
    assert status.state == "live"
    assert status.account is not None
    assert status.account.breaker.state == "closed"
    with pytest.raises(NotFound, match="binance/nobody"):
        indexer.account("binance", "nobody")


async def test_callbacks_hear_their_account_and_can_read_what_they_heard(
    venue: Venue, main: Account, indexer: Indexer
) -> None:
    desk = indexer.account("binance", "desk")
    updates: list[Event] = []
    changes: list[Event] = []
    read: list[Decimal | None] = []

    async def on_update(event: Event) -> None:
        updates.append(event)
        read.append(total(await desk.get_balance("USDT", "spot")))

    unlisten = desk.balance_update(on_update)
    desk.balance_change(changes.append)
    venue.truth.deposit(main, "spot", "USDT", "0.01")
    await until(lambda: len(read) == 1)
    venue.truth.deposit(main, "spot", "USDT", "500")
    await until(lambda: bool(changes) and len(read) == 2)
    assert read == [Decimal("1000.51"), Decimal("1500.51")]
    assert all(isinstance(event.fact, AssetUpdated) for event in updates)
    assert [event.fact.change for event in changes if isinstance(event.fact, AssetChanged)] == [Decimal("500.01")]
    unlisten()
    venue.truth.deposit(main, "spot", "USDT", "1")
    await desk.refresh()
    assert len(read) == 2
    history = await desk.history("spot", "USDT", limit=2)
    assert [row.held.amounts.total for row in history] == [Decimal("1501.51"), Decimal("1500.51")]
    stats = (await desk.stats("spot", "USDT")).records
    assert stats is not None
    assert (stats.count, stats.maximum) == (4, Decimal("1501.51"))


async def test_many_tasks_refresh_and_ask_at_once(venue: Venue, main: Account, indexer: Indexer) -> None:
    desk = indexer.account("binance", "desk")
    venue.sockets.mute()
    venue.truth.deposit(main, "spot", "USDT", "1")
    answers = await asyncio.wait_for(asyncio.gather(*(desk.refresh("spot") for _ in range(20))), 20)
    for rows in answers:
        assert {row.slot.wallet: row.held.amounts.total for row in rows}["spot"] == Decimal("1001.50")


async def test_threads_ask_and_hear_through_the_synchronous_face(venue: Venue, main: Account, indexer: Indexer) -> None:
    face = indexer.sync()
    heard: list[tuple[int, Decimal | None]] = []

    def work(_number: int) -> Decimal | None:
        desk = face.account("binance", "desk")
        assert desk.status().state == "live"
        assert [row.slot.wallet for row in desk.refresh()] == ["funding", "spot"]
        assert desk.history("spot", "USDT")[-1].held.amounts.total == Decimal("1000.50")
        assert desk.stats("spot", "USDT").records is not None
        assert desk.history("spot", "USDT", end=datetime(2020, 1, 1, tzinfo=UTC)) == []
        assert (desk.positions(), desk.fundings(limit=1, end=datetime.now(UTC))) == ([], [])
        return total(desk.get_balance("USDT", "spot"))

    def listen() -> Callable[[], None]:
        desk = face.account("binance", "desk")

        def on_update(_event: Event) -> None:
            time.sleep(0.01)  # a callback that blocks keeps nobody waiting
            # It is a thread, so that it may ask as well.
            heard.append((threading.get_ident(), total(desk.get_balance("USDT", "spot"))))

        return desk.balance_update(on_update)

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(8) as pool:
        unlisten = await loop.run_in_executor(pool, listen)
        found = await asyncio.gather(*(loop.run_in_executor(pool, work, number) for number in range(8)))
        assert set(found) == {Decimal("1000.50")}
        venue.truth.deposit(main, "spot", "USDT", "2")
        await until(lambda: bool(heard))
        await loop.run_in_executor(pool, unlisten)
    assert heard[0] == (heard[0][0], Decimal("1002.50"))
    assert heard[0][0] != threading.get_ident()
    with pytest.raises(RuntimeError, match="wait for itself"):
        face.accounts()


async def test_amounts_are_marked_once_they_are_only_the_last_known(
    venue: Venue, main: Account, indexer: Indexer
) -> None:
    desk = indexer.account("binance", "desk")
    assert [row.stale for row in await desk.balances()] == [False, False]
    venue.truth.set(main, "funding", "USDT", free="2000000000000000000")
    await desk.refresh()
    await until(lambda: "kept out" in (desk.status().last_error or ""))
    rows = {row.slot.wallet: row for row in await desk.balances()}
    assert (rows["funding"].stale, rows["spot"].stale) == (True, False)
    found = await desk.get_balance("USDT")
    assert found is not None
    assert found.stale


async def test_an_indexer_that_has_stopped_says_so(venue: Venue, main: Account, tmp_path: Path) -> None:
    async with Indexer(settings(venue, main, tmp_path), serve=False) as running:
        await asyncio.wait_for(running.ready(), 20)
        desk = running.account("binance", "desk")
        other = running.sync().account
        threads = await asyncio.to_thread(other, "binance", "desk")
    for question in (desk.get_balance("USDT"), desk.balances(), desk.refresh(), desk.positions(), desk.fundings()):
        with pytest.raises(Stopped):
            await question
    with pytest.raises(Stopped):
        desk.status()
    with pytest.raises(Stopped):
        await asyncio.to_thread(threads.balances)


async def test_a_thread_whose_indexer_has_ended_with_its_loop_is_told_so(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    def program() -> None:
        with SyncIndexer(settings(venue, main, tmp_path)) as indexer:
            desk = indexer.account("binance", "desk")
            unlisten = desk.balance_update(lambda _event: None)
        unlisten()
        with pytest.raises(Stopped):
            desk.get_balance("USDT")

    await asyncio.to_thread(program)


async def test_a_program_without_a_loop_runs_the_service_in_a_thread(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    wanted: Settings = settings(venue, main, tmp_path)

    def program() -> tuple[Decimal | None, int]:
        with SyncIndexer(wanted) as indexer:
            indexer.ready(20)
            assert indexer.accounts() == [AccountKey("binance", "desk")]
            with pytest.raises(NotFound):
                indexer.account("binance", "nobody")
            return total(indexer.account("binance", "desk").get_balance("USDT", "spot")), threading.active_count()

    found, _ = await asyncio.to_thread(program)
    assert found == Decimal("1000.50")
    assert "indexer" not in [thread.name for thread in threading.enumerate()]


async def test_what_keeps_the_service_from_starting_is_told_to_the_thread_that_wants_it(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    wanted = settings(venue, main, tmp_path)
    wanted = replace(wanted, store=replace(wanted.store, url="nonsense://"))

    def program() -> None:
        with SyncIndexer(wanted):
            pass

    with pytest.raises(Exception, match="nonsense"):
        await asyncio.to_thread(program)


def test_amounts_of_wallets_that_count_differently_have_no_sum() -> None:
    def record(amounts: Amounts, measure: str) -> CurrentRecord:
        balance = replace(held("1"), amounts=amounts, measure=measure)  # type: ignore[arg-type]  # a test's text
        return CurrentRecord(AccountKey("a", "b"), balance, None, "first", 1, TIME)

    one = Amounts(Decimal(1), Decimal(2), Decimal(3))
    mixed = AssetHeld("X", {"spot": record(one, "wallet"), "margin": record(one, "equity")})
    assert (mixed.measure, mixed.amounts) == (None, Amounts())
    half = AssetHeld("X", {"spot": record(one, "wallet"), "margin": record(Amounts(total=Decimal(3)), "wallet")})
    assert half.amounts == Amounts(None, None, Decimal(6))
