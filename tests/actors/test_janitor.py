"""What is older than history has to be is forgotten every hour, whatever the store says in between."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from actors.base import end
from actors.janitor import KEPT_EVENTS, SWEEP_SECONDS, Janitor, Sweep
from indexer.errors import StoreUnavailable
from tests.sim.clock import in_virtual_time

BEGUN = datetime(2026, 11, 21, tzinfo=UTC)
HOUR = timedelta(seconds=SWEEP_SECONDS)


class Hoard:
    """Both stores at once: what each was told to forget, and how much there was of it."""

    def __init__(self) -> None:
        self.records: list[datetime] = []
        self.commits: list[tuple[datetime, int]] = []
        self.fails = False

    @property
    def books(self) -> Books:
        return Books(self)

    async def forget(self, before: datetime, keep: int) -> int:
        self.commits.append((before, keep))
        return 2


class Books:
    def __init__(self, hoard: Hoard) -> None:
        self._hoard = hoard

    async def forget(self, before: datetime) -> int:
        if self._hoard.fails:
            raise StoreUnavailable("the store is away")
        self._hoard.records.append(before)
        return 3


class House:
    """A janitor at work, whose calendar goes as the virtual clock does."""

    def __init__(self, days: int = 2) -> None:
        self.hoard = Hoard()
        self.deaths: list[BaseException] = []
        self.ref = Janitor.start(
            days=days,
            ledger=self.hoard,
            books=self.hoard.books,
            report=self.deaths.append,
            now=lambda: BEGUN + timedelta(seconds=round(asyncio.get_running_loop().time())),
        )
        self.ref.tell(Sweep())

    async def live_on(self, hours: float) -> None:
        await asyncio.sleep(hours * SWEEP_SECONDS)
        assert self.deaths == []


@in_virtual_time
async def test_records_and_commits_older_than_the_days_are_forgotten_at_once_and_every_hour() -> None:
    house = House(days=2)
    await house.live_on(2.5)
    ends = [BEGUN - timedelta(days=2) + hours * HOUR for hours in range(3)]
    assert house.hoard.records == ends
    assert house.hoard.commits == [(end, KEPT_EVENTS) for end in ends]
    await end(house.ref, 1)


@in_virtual_time
async def test_a_sweep_that_the_store_does_not_take_is_made_up_for_an_hour_later() -> None:
    with capture_logs() as lines:
        house = House()
        house.hoard.fails = True
        await house.live_on(0.5)
        assert (house.hoard.records, house.hoard.commits) == ([], [])
        house.hoard.fails = False
        await house.live_on(1)
        await end(house.ref, 1)
    assert len(house.hoard.records) == len(house.hoard.commits) == 1
    assert [line["event"] for line in lines] == ["sweep_postponed", "history_forgotten"]
    assert (lines[1]["records"], lines[1]["commits"]) == (3, 2)


@in_virtual_time
async def test_a_janitor_that_has_ended_sweeps_no_more() -> None:
    house = House()
    await house.live_on(0.5)
    await end(house.ref, 1)
    await house.live_on(5)
    assert len(house.hoard.records) == 1
