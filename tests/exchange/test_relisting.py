"""Coins that a venue lists while the service runs: their usual names are learned, and no balance waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from indexer.clients.exchange import markets
from indexer.clients.exchange.markets import SharedLists
from indexer.demo.venue import Venue
from indexer.demo.venue.dialects.kraken import names
from indexer.errors import VenueUnreachable
from tests.exchange.conftest import Connect
from tests.exchange.test_listening import until
from tests.sim.clock import in_virtual_time

ASSETS = ("kraken", "/0/public/Assets")


def forget(lists: Any, name: str) -> None:
    """As they were before it was listed."""
    code = lists.currencies_by_id.pop(name)["code"]
    del lists.currencies[code], lists.commonCurrencies[name]


async def test_a_coin_that_is_listed_later_goes_by_its_usual_name_without_a_restart(
    venue: Venue, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_OLD", (*names._OLD, "T0001"))
    monkeypatch.setattr(markets, "RENEW_SECONDS", 0.0)
    monkeypatch.setattr(markets, "COLLECT_SECONDS", 0.0)
    one, other = connect(venue.account("kraken")), connect(venue.account("kraken", "other"))
    for account in (one, other):
        venue.truth.deposit(venue.account("kraken", "main" if account is one else "other"), "spot", "T0001", "7")
        await account.read("spot")
    forget(one._rest, "XT0001")
    asked = venue.requests[ASSETS]
    assert list((await one.read("spot")).amounts) == ["XT0001"], "nobody waits for the lists"
    await until(lambda: "XT0001" in one._rest.currencies_by_id)
    for account in (one, other):
        assert {asset: each.total for asset, each in (await account.read("spot")).amounts.items()} == {
            "T0001": Decimal(7)
        }
    assert venue.requests[ASSETS] == asked + 1


class Borrower:
    """An instance of ccxt's, as far as lists go."""

    def __init__(self) -> None:
        self.lists: Any = None
        self.unlisted: Callable[[str], None] = lambda _name: None

    def set_markets_from_exchange(self, lists: Any) -> None:
        self.lists = lists


class Source:
    """Numbers its lists, and may fail."""

    def __init__(self) -> None:
        self.loaded = 0
        self.fails = False

    async def load(self) -> Any:
        self.loaded += 1
        await asyncio.sleep(1)
        if self.fails:
            raise VenueUnreachable("away")
        return f"lists {self.loaded}"


async def lent(source: Source, count: int = 1) -> tuple[SharedLists, list[Borrower]]:
    lists, borrowers = SharedLists(), [Borrower() for _ in range(count)]
    for one in borrowers:
        await lists.of("venue", source.load)
        lists.lend("venue", one, source.load)
    return lists, borrowers


@in_virtual_time
async def test_names_that_stay_unknown_have_the_lists_loaded_once_a_day() -> None:
    source = Source()
    lists, (one, other) = await lent(source, 2)
    for _ in range(3 * 24 * 60):
        for name in ("ONE", "TWO", "THREE"):
            one.unlisted(name)
            other.unlisted(name)
        await asyncio.sleep(60)
    assert source.loaded == 1 + 3
    assert one.lists == other.lists == "lists 4"
    await lists.close()


@in_virtual_time
async def test_however_many_new_names_come_the_lists_are_loaded_once_in_a_while() -> None:
    source = Source()
    lists, (one,) = await lent(source)
    for number in range(3_600):
        one.unlisted(f"COIN{number}")
        await asyncio.sleep(1)
    assert source.loaded <= 1 + 3_600 / markets.RENEW_SECONDS
    await lists.close()


@in_virtual_time
async def test_lists_that_cannot_be_loaded_anew_stay_as_they_are_and_are_tried_again_later() -> None:
    source = Source()
    lists, (one,) = await lent(source)
    source.fails = True
    for _ in range(30):
        one.unlisted("NEW")
        await asyncio.sleep(60)
    assert (one.lists, source.loaded) == ("lists 1", 1 + 2)
    source.fails = False
    await asyncio.sleep(markets.RENEW_SECONDS)
    one.unlisted("NEW")
    await asyncio.sleep(5)
    assert one.lists == "lists 4"
    await lists.close()


@in_virtual_time
async def test_nobody_is_left_loading_once_they_are_closed() -> None:
    source = Source()
    lists, (one,) = await lent(source)
    await asyncio.sleep(markets.RENEW_SECONDS)
    one.unlisted("NEW")
    await asyncio.sleep(2.5)
    before = asyncio.all_tasks()
    await lists.close()
    assert len(asyncio.all_tasks()) < len(before)
