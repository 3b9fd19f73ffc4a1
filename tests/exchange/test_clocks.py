"""A venue's clock, which two of its accounts may find to be apart at the same moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from indexer.app.library import Indexer
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pool import Venues
from indexer.config import ExchangeSettings, ServiceSettings, Settings, StoreSettings
from indexer.demo.venue import Account, Venue
from indexer.domain.accounts.facts import AssetUpdated, PositionUpdated
from indexer.domain.telling.commits import Event
from indexer.masking import Secret
from tests.exchange.service import until
from tests.sim.clock import play

APART_MS = 120_000


class Asked:
    """An instance of ccxt that counts as it is told to, and takes a while to ask for the time."""

    def __init__(self, venues: Venues, seconds: float) -> None:
        self.made: Any = venues.exchange(DIALECTS["bybit"], {}, base_url="http://venue")
        self._seconds = seconds

    def milliseconds(self) -> int:
        return int(asyncio.get_running_loop().time() * 1_000) + int(self.made.skew())

    async def fetch_time(self) -> int:
        await asyncio.sleep(self._seconds / 2)
        told = int(asyncio.get_running_loop().time() * 1_000) + APART_MS
        await asyncio.sleep(self._seconds / 2)
        return told


@pytest.mark.parametrize("seconds", [(1.0, 1.0), (1.0, 1.6), (2.0, 0.4)])
def test_two_that_ask_at_once_find_how_far_it_is_apart(seconds: tuple[float, float]) -> None:
    async def story() -> int:
        venues = Venues()
        asked: list[Any] = [Asked(venues, each) for each in seconds]
        await asyncio.gather(*(venues.synchronise(each, DIALECTS["bybit"], "http://venue") for each in asked))
        found = asked[0].milliseconds() - int(asyncio.get_running_loop().time() * 1_000)
        for each in asked:
            await each.made.close()
        await venues.close()
        return int(found)

    assert abs(play(story()) - APART_MS) <= 2  # milliseconds are cut off here and there


def followed(venue: Venue, account: Account, folder: Path) -> Settings:
    key, secret, password = (Secret(account.credentials[name]) for name in ("apiKey", "secret", "password"))
    desk = ExchangeSettings(
        name="desk",
        exchange="okx",
        api_key=key,
        secret=secret,
        password=password,
        wallets=("unified",),
        base_url=venue.url("okx"),
    )
    return Settings(
        service=ServiceSettings(port=0, data_dir=folder), store=StoreSettings(url="memory"), exchanges={"desk": desk}
    )


async def test_a_position_that_changes_after_the_venues_clock_went_back_is_told_within_seconds(
    venue: Venue, tmp_path: Path
) -> None:
    account, symbol = venue.account("okx"), "BTC/USDT:USDT"
    venue.truth.deposit(account, "unified", "USDT", "1000")
    async with Indexer(followed(venue, account, tmp_path), serve=False) as indexer:
        told: list[Event] = []
        indexer.listen(told.append, "position.updated")

        def last() -> str:
            facts = [one.fact for one in told if isinstance(one.fact, PositionUpdated)]
            return str(facts[-1].position.contracts) if facts else ""

        await asyncio.wait_for(indexer.ready(), 20)
        await until(lambda: indexer.report.streams()[0].heads == "ws")
        venue.truth.open_position(account, symbol, "1", "100")
        await until(lambda: last() != "")
        venue.shift_clock(-60_000)
        venue.truth.open_position(account, symbol, "2", "100")
        first = last()
        await until(lambda: last() != first, 6)
        second = last()
        venue.truth.open_position(account, symbol, "3", "100")
        await until(lambda: last() != second, 3)


async def test_what_changes_after_the_venues_clock_went_back_is_told_within_seconds(
    venue: Venue, tmp_path: Path
) -> None:
    account = venue.account("okx")
    venue.truth.deposit(account, "unified", "USDT", "100")
    async with Indexer(followed(venue, account, tmp_path), serve=False) as indexer:
        told: list[Event] = []
        indexer.listen(told.append, "balance.updated")

        def totals() -> list[str]:
            return [str(one.fact.held.amounts.total) for one in told if isinstance(one.fact, AssetUpdated)]

        await asyncio.wait_for(indexer.ready(), 20)
        await until(lambda: indexer.report.streams()[0].heads == "ws")
        venue.truth.deposit(account, "unified", "USDT", "1")
        await until(lambda: "101" in totals())
        venue.shift_clock(-9_000)
        venue.truth.deposit(account, "unified", "USDT", "1")
        await until(lambda: "102" in totals(), 6)
        venue.truth.deposit(account, "unified", "USDT", "1")
        await until(lambda: "103" in totals(), 6)
