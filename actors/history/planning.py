"""What is ordered by itself: the history of all that is watched and not covered, and of the holes in what is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from actors.history.jobs import Jobs
from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from indexer.domain.history.jobs import Job
from indexer.domain.recording.holes import Hole


class Coverage(Protocol):
    """What jobs have filled, and where nobody watched."""

    async def covered(self, chain_id: int) -> dict[Holding, int]: ...

    async def holes(self, chain_id: int) -> dict[Holding, Hole]: ...


class Planner:
    """With a number as first block, whatever is watched is filled from there; with none, nothing is planned."""

    def __init__(self, *, chain_id: int, first: int | None, watch: Watch, coverage: Coverage, jobs: Jobs) -> None:
        self._chain_id = chain_id
        self._first = first
        self._watch = watch
        self._coverage = coverage
        self._jobs = jobs
        self._planned: set[Holding] = set()
        """What this life has ordered by itself: a balance that cannot be read is not ordered again and again."""
        self._unread: set[Holding] = set()
        """Those of them that had no record to begin with: they are ordered once more when they are read."""
        self._read: set[Holding] = set()
        """Those that were read since they were ordered: the order may not have waited for it."""
        self._planned_holes: dict[Holding, Hole] = {}
        self._is_due = True
        """Something happened since orders were looked for that may want one: it means to read what is covered."""

    def rewatch(self, watch: Watch) -> None:
        self._forget(self._watch.beyond(watch))
        self._planned_holes = {key: hole for key, hole in self._planned_holes.items() if watch.covers(key)}
        self._watch, self._is_due = watch, True

    def start_at(self, first: int | None) -> None:
        self._first = first
        self._forget(self._planned)
        self._planned_holes, self._is_due = {}, True

    def was_read(self, holdings: Collection[Holding]) -> bool:
        """Whether that is a reason to look again."""
        self._read |= self._planned.intersection(holdings)
        return self._order_again()

    def was_never_read(self, holdings: Collection[Holding]) -> None:
        """An order found nothing of these to begin with."""
        self._unread |= self._planned.intersection(holdings)
        self._order_again()

    def _order_again(self) -> bool:
        again = self._unread & self._read
        self._forget(again)
        self._is_due = self._is_due or bool(again)
        return bool(again)

    def _forget(self, holdings: Collection[Holding]) -> None:
        gone = frozenset(holdings)
        self._planned, self._unread, self._read = self._planned - gone, self._unread - gone, self._read - gone

    def look_again(self) -> None:
        """What is covered, or where there are holes, may have changed."""
        self._is_due = True

    async def plan_due(self) -> None:
        if not self._is_due:
            return
        self._is_due = False  # not later: more may happen meanwhile
        try:
            await self._plan()
        except BaseException:
            self._is_due = True
            raise

    async def _plan(self) -> None:
        """What is not covered, then the holes: of many at once, as a token may be watched again for thousands."""
        first = self._first
        if first is None:
            return
        covered, watched = await self._coverage.covered(self._chain_id), self._watch.holdings()
        missing = {holding for holding in watched if covered.get(holding, first + 1) > first}
        wanted = missing - self._ordered(first) - self._planned
        if wanted:
            self._planned |= wanted
            await self._order(wanted, first)
        holes = {
            holding: hole
            for holding, hole in (await self._coverage.holes(self._chain_id)).items()
            if holding in watched - missing and hole.end > first and self._planned_holes.get(holding) != hole
        }
        alike: dict[tuple[int, int], dict[Holding, Hole]] = {}
        for holding, hole in holes.items():
            wide = hole.end - max(covered[holding], hole.first)
            alike.setdefault((hole.end, wide.bit_length()), {})[holding] = hole  # none is walked far for another
        for (end, _), open_ones in alike.items():
            await self._plan_holes(covered, open_ones, end)

    async def _plan_holes(self, covered: Mapping[Holding, int], holes: Mapping[Holding, Hole], end: int) -> None:
        """Up to the record at their end: history may be there already between it and where they begin."""
        # What was filled below the first block as well goes on from there.
        lowest = min(max(covered[holding], hole.first) for holding, hole in holes.items())
        open_ones = holes.keys() - self._ordered(lowest)
        if open_ones:
            self._planned_holes |= {holding: holes[holding] for holding in open_ones}
            await self._order(open_ones, lowest, end - 1)

    async def _order(self, holdings: Collection[Holding], first: int, last: int | None = None) -> None:
        await self._jobs.order(Job("", self._chain_id, first, last, tuple(holdings)))

    def _ordered(self, first: int) -> set[Holding]:
        return {holding for job in self._jobs.unfinished() if job.begins <= first for holding in job.holdings}
