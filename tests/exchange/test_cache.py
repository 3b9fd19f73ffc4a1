"""Reads that need not be made: recent ones, and those that are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from indexer.clients.exchange.cache import SnapshotCache
from indexer.demo.venue import Venue
from indexer.domain.accounts.amounts import Amounts
from indexer.domain.accounts.arrivals import Snapshot
from indexer.errors import VenueUnreachable
from tests.exchange.conftest import Connect
from tests.sim.clock import play


def answer(asked: float, total: str = "1") -> Snapshot:
    return Snapshot("spot", {"BTC": Amounts(total=Decimal(total))}, "wallet", "rest", asked, asked, datetime.now(UTC))


class Reader:
    """Answers a second later, and counts."""

    def __init__(self) -> None:
        self.reads = 0
        self.error: Exception | None = None

    async def __call__(self) -> Snapshot:
        self.reads += 1
        asked = asyncio.get_running_loop().time()
        await asyncio.sleep(1)
        if self.error is not None:
            raise self.error
        return answer(asked)


def played(story: Coroutine[Any, Any, None]) -> None:
    play(story)


def test_all_who_ask_at_once_share_one_read() -> None:
    async def story() -> None:
        cache, read = SnapshotCache(), Reader()
        await asyncio.gather(*(cache.recent(("a",), 5, read) for _ in range(50)))
        assert read.reads == 1
        assert cache.statistics()["shared"] == 49
        assert cache.statistics()["hitRate"] == 0.98

    played(story())


def test_what_is_older_than_asked_for_is_read_again() -> None:
    async def story() -> None:
        cache, read = SnapshotCache(), Reader()
        await cache.recent(("a",), 5, read)
        await asyncio.sleep(3)
        await cache.recent(("a",), 5, read)
        assert read.reads == 1
        await asyncio.sleep(3)
        await cache.recent(("a",), 5, read)
        assert read.reads == 2

    played(story())


def test_a_slow_answer_that_was_asked_for_earlier_never_wins() -> None:
    async def story() -> None:
        cache, read = SnapshotCache(), Reader()
        slow = asyncio.create_task(cache.recent(("a",), 5, read))
        await asyncio.sleep(0.5)
        newer = answer(asyncio.get_running_loop().time(), "2")
        cache.keep(newer, ("a",))
        await slow
        assert await cache.recent(("a",), 5, read) is newer

    played(story())


def test_a_failed_read_is_told_to_all_who_wait_and_not_kept() -> None:
    async def story() -> None:
        cache, read = SnapshotCache(), Reader()
        read.error = VenueUnreachable("no")
        told = await asyncio.gather(*(cache.recent(("a",), 5, read) for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in told] == [VenueUnreachable] * 3
        read.error = None
        await cache.recent(("a",), 5, read)
        assert read.reads == 2

    played(story())


def test_entries_end_by_age_and_by_number() -> None:
    async def story() -> None:
        cache, read = SnapshotCache(entries=2, seconds=10), Reader()
        for name in "abc":
            await cache.recent((name,), 100, read)
        assert cache.statistics()["entries"] == 2
        await cache.recent(("a",), 100, read)
        assert read.reads == 4
        await asyncio.sleep(11)
        assert cache.statistics()["entries"] == 0

    played(story())


async def test_polls_that_are_believed_fill_the_cache_and_are_not_served_from_it(
    venue: Venue, connect: Connect
) -> None:
    account = venue.account("binance")
    connection = connect(account)
    venue.truth.deposit(account, "spot", "BTC", "1")
    connection.believed(await connection.read("spot"))
    venue.truth.deposit(account, "spot", "BTC", "1")

    async def renew() -> None:
        connection.believed(await connection.read("spot"))

    assert (await connection.recent("spot", 60, renew)).amounts["BTC"].total == 1
    doubted = await connection.read("spot")
    assert (await connection.recent("spot", 60, renew)).amounts["BTC"].total == 1
    connection.believed(doubted)
    assert (await connection.recent("spot", 60, renew)).amounts["BTC"].total == 2
    venue.once("lost_connection", times=10)
    with pytest.raises(VenueUnreachable):
        await connection.recent("spot", 0, renew)
