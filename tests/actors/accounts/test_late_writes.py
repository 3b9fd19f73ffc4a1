"""A number that is taken already: by a late write of an earlier life, or by somebody who writes the stream as well."""

from __future__ import annotations

import asyncio

from indexer.domain.accounts.facts import AccountStale
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import exchange_stream
from indexer.errors import BeginsAnew
from tests.actors.accounts.fakes import ACCOUNT, NOW, FakeVenue, Stage
from tests.actors.fakes import FakeLog
from tests.sim.clock import in_virtual_time


class Raced(FakeLog):
    """As often as it is told to, somebody else has written by the time that we do."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    async def append(self, commit: Commit) -> None:
        if self._times:
            self._times -= 1
            first, fact = self.free(commit.stream), AccountStale(ACCOUNT, "the end of an earlier life")
            self.commits.append(Commit(f"other {first}", exchange_stream(*ACCOUNT), first, NOW, (fact,)))
        await super().append(commit)


@in_virtual_time
async def test_what_an_earlier_process_wrote_unanswered_and_arrives_late_is_no_other_writer() -> None:
    log, venue = Raced(1), FakeVenue(BTC="1")
    async with Stage(venue, log) as stage:
        await asyncio.sleep(1)
        assert [type(death) for death in stage.deaths] == [BeginsAnew]
    async with Stage(venue, log, restarts=1) as again:
        await asyncio.sleep(1)
        assert (again.state, again.deaths) == ("live", [])
        assert [seq for commit in log.commits for seq in range(commit.first_seq, commit.last_seq + 1)] == list(
            range(1, log.free(exchange_stream(*ACCOUNT)))
        )


@in_virtual_time
async def test_who_goes_on_writing_is_another_and_it_steps_down() -> None:
    log, venue = Raced(2), FakeVenue(BTC="1")
    async with Stage(venue, log):
        await asyncio.sleep(1)
    async with Stage(venue, log, restarts=1) as again:
        await asyncio.sleep(1)
        assert (again.state, again.deaths) == ("stopped", [])


@in_virtual_time
async def test_once_it_has_written_itself_whoever_has_its_number_is_another() -> None:
    log, venue = Raced(0), FakeVenue(BTC="1")
    async with Stage(venue, log) as stage:
        await asyncio.sleep(1)
        log._times = 1
        venue.frame(BTC="2")
        await asyncio.sleep(1)
        assert (stage.state, stage.deaths) == ("stopped", [])
