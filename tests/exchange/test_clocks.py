"""A venue's clock, which two of its accounts may find to be apart at the same moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pool import Venues
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
