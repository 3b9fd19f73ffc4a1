"""Accounts that are removed or changed while they write: whatever is in the log reaches who listens, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from indexer.app.library import Indexer
from indexer.demo.venue import Account, Venue
from indexer.domain.accounts.registry import Account as Followed
from indexer.domain.telling.commits import Event
from tests.exchange.service import KEY, settings, until
from tests.fixtures.unanswered import ARRIVALS, Arrives, Unanswered

STREAM = "exchange:binance:desk"


class Scene:
    """A service that follows one account, and a program that listens to it."""

    def __init__(self, indexer: Indexer, venue: Venue, main: Account) -> None:
        self.indexer = indexer
        self.told: list[Event] = []
        self._venue = venue
        self._main = main
        indexer.listen(self.told.append, None)

    async def begin(self) -> None:
        await self.indexer.accounts.add(
            Followed(KEY, ("spot",), base_url=self._venue.url("binance")), self._main.credentials
        )
        await self.live()

    async def live(self) -> None:
        await until(lambda: [one.state for one in self.indexer.report.streams()] == ["live"])

    async def unanswered(self, arrives: Arrives) -> Unanswered:
        """The next commit is on its way to the store."""
        unanswered = Unanswered(self.indexer.store.commits, STREAM, arrives)
        self._venue.truth.deposit(self._main, "spot", "USDT", "1.25")
        await asyncio.wait_for(unanswered.began.wait(), 20)
        return unanswered

    async def all_is_told(self) -> None:
        """Each event of the log once, in order."""
        last = await self.indexer.store.commits.last_seq(STREAM)
        await until(lambda: len(self.told) >= last, seconds=5)
        assert [event.seq for event in self.told] == list(range(1, last + 1))


@asynccontextmanager
async def scene(venue: Venue, main: Account, folder: Path) -> AsyncIterator[Scene]:
    async with Indexer(settings(venue, main, folder, in_file=False), serve=False) as indexer:
        on = Scene(indexer, venue, main)
        await on.begin()
        yield on


@pytest.mark.parametrize("arrives", ARRIVALS)
async def test_what_a_removed_account_was_writing_is_told(
    venue: Venue, main: Account, tmp_path: Path, arrives: Arrives
) -> None:
    async with scene(venue, main, tmp_path) as on:
        unanswered = await on.unanswered(arrives)
        await on.indexer.accounts.remove(KEY)
        await unanswered.arrive()
        assert unanswered.commit is not None
        assert await on.indexer.store.commits.last_seq(STREAM) == unanswered.commit.last_seq
        await on.all_is_told()


@pytest.mark.parametrize("arrives", ARRIVALS)
async def test_an_account_that_is_added_again_goes_on_after_what_it_was_writing(
    venue: Venue, main: Account, tmp_path: Path, arrives: Arrives
) -> None:
    async with scene(venue, main, tmp_path) as on:
        unanswered = await on.unanswered(arrives)
        unanswered.arrive_late()
        await on.indexer.accounts.remove(KEY)
        await on.begin()
        venue.truth.deposit(main, "spot", "USDT", "5")
        await on.indexer.accounts.refresh(KEY)
        await on.all_is_told()
        await on.live()
