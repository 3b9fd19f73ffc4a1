"""Another process writes the account's stream: this one goes no further, and says so to whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from indexer.domain.accounts.arrivals import Arrival
from indexer.domain.accounts.facts import AccountStale
from indexer.domain.telling.commits import Commit
from indexer.errors import Impossible
from tests.actors.accounts.fakes import ACCOUNT, NOW, FakeVenue, Stage
from tests.sim.clock import play


def _written_elsewhere(stage: Stage) -> None:
    log = stage.log
    first = log.commits[-1].last_seq + 1
    log.commits.append(Commit("theirs", log.commits[-1].stream, first, NOW, (AccountStale(ACCOUNT, "theirs"),)))


class _Listened(FakeVenue):
    def __init__(self) -> None:
        super().__init__(BTC="1")
        self.is_heard = False

    async def listen(self, on_arrival: Callable[[Arrival], None]) -> None:
        self.is_heard = True
        try:
            await super().listen(on_arrival)
        finally:
            self.is_heard = False


def test_a_refresh_that_waits_is_told_so_at_once() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(10)
            _written_elsewhere(stage)
            stage.venue.frame(BTC="2", silent=True)
            began = asyncio.get_running_loop().time()
            with pytest.raises(Impossible, match="another process"):
                await stage.refresh()
            assert asyncio.get_running_loop().time() - began < 1
            assert stage.state == "stopped"

    play(story())


def test_its_stream_is_closed() -> None:
    async def story() -> None:
        venue = _Listened()
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            assert venue.is_heard
            _written_elsewhere(stage)
            venue.frame(BTC="2")
            await asyncio.sleep(1)
            assert not venue.is_heard

    play(story())
