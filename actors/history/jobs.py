"""All jobs of one chain that fill its history: the newest word on each, kept so that a restart goes on from it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from actors.patience import patiently
from indexer.domain.history.jobs import Job
from indexer.domain.history.orders import parts_of
from indexer.errors import Impossible, StoreUnavailable

log = structlog.get_logger(__name__)

KEPT_JOBS = 100
"""Of those that are over."""

MOST_JOBS = 1_000
MOST_BALANCES = 500_000
"""Of orders that are not worked off: each job keeps the names of its balances in memory, 70 bytes apiece."""


class Book(Protocol):
    """Where jobs survive a restart."""

    async def save(self, job: Job) -> None: ...

    async def jobs(self, chain_id: int | None = None) -> list[Job]: ...

    async def offered(self, chain_id: int, known: Collection[str]) -> list[Job]: ...

    async def drop(self, job_id: str) -> None: ...

    async def forget(self, job_id: str) -> None: ...


class Jobs:
    """What is known of a job is never ahead of what is stored for longer than a write takes."""

    def __init__(
        self,
        *,
        name: str,
        chain_id: int,
        book: Book,
        show: Callable[[Job], None],
        changed: Callable[[], None],
        ordered: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._chain_id = chain_id
        self._book = book
        self._show = show
        self._changed = changed
        self._ordered = ordered
        self._clock = clock
        self._jobs: dict[str, Job] = {}

    def all(self) -> list[Job]:
        return list(self._jobs.values())

    def unfinished(self) -> Iterator[Job]:
        """Those with work left, in the order in which they are worked off."""
        ordered = sorted(self._jobs.values(), key=lambda job: job.turn)
        return (job for job in ordered if job.is_filling)

    def known_as(self, job: Job) -> Job:
        """The newest word on it."""
        return self._jobs.get(job.id, job)

    # --- changing ----------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        stored = await self._book.jobs(self._chain_id)
        for job in stored:
            if not job.is_filling:  # an earlier life may have ended right before it forgot that
                await self._book.forget(job.id)
        # Orders may have come in before the store answered.
        self._jobs = {job.id: job for job in stored} | self._jobs
        await self._trim()
        for job in self._jobs.values():
            self._show(job)

    async def order(self, order: Job, *, waits: bool = True) -> Sequence[Job]:
        """As several jobs; the same that are there already, where somebody orders once more.

        Without `waits`, who orders is told at once that the store is away.
        """
        parts = parts_of(order.holdings)
        bounds = (order.first, order.last)
        same = [job for job in self.unfinished() if (job.begins, job.last) == bounds and job.wanted in parts]
        if order.anchors:  # one that began before all that was taken back may stop below it
            same = [job for job in same if job.anchors == order.anchors]
        if len(same) == len(parts):
            return same
        if not waits:
            self._refuse_too_many(len(parts), len(order.holdings))
        now = int(self._clock() * 1000)
        made = [
            replace(order, id=uuid.uuid4().hex[:12], holdings=part, wanted=part, created=now + place)
            for place, part in enumerate(parts)
        ]
        failure: StoreUnavailable | None = None
        for job in made:
            try:
                await (self.save(job) if waits else self._book.save(job))
            except StoreUnavailable as error:
                failure = error  # it is saved again while it is worked off; who orders once more gets the same
        for job in made:  # not before: a late save must not take back what was done since
            self.know(job)
            log.info("backfill_ordered", chain=self._name, job=job.id, first=job.first, balances=len(job.holdings))
        self._ordered()
        if failure is not None:
            raise failure
        return made

    def _refuse_too_many(self, jobs: int, balances: int) -> None:
        waiting = list(self.unfinished())
        jobs += len(waiting)
        balances += sum(len(job.holdings) for job in waiting)
        if jobs > MOST_JOBS or balances > MOST_BALANCES:
            told = f"{len(waiting)} jobs of chain {self._name} are not done yet"
            most = f"{MOST_JOBS} jobs and {MOST_BALANCES} balances may wait; order again when some are"
            raise Impossible(f"{told}: {most}")

    async def take_up(self) -> None:
        """Orders that were made of what the chain's live actor passed over."""
        for job in await self._book.offered(self._chain_id, known=self._jobs.keys()):
            self.know(job)
            log.info("backfill_offered", chain=self._name, job=job.id, first=job.first, balances=len(job.holdings))

    def know(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._show(job)
        self._changed()

    async def keep(self, job: Job) -> None:
        if job.is_over and job.ended is None:
            job = replace(job, ended=int(self._clock() * 1000))
        self.know(job)
        await self.save(job)
        if job.is_over:
            await self._trim()

    async def save(self, job: Job) -> None:
        """However long the store is away: what we know of a job must not get ahead of what a restart finds."""
        await patiently("backfill", partial(self._book.save, job))

    async def forget(self, job: Job) -> None:
        """Drop what was collected for it."""
        await patiently("backfill", partial(self._book.forget, job.id))

    def trouble(self, reason: str) -> None:
        """Shown with the one that is worked at, and not stored: it may be over in a moment."""
        job = next(self.unfinished(), None)
        if job is not None and job.error != reason:
            self._jobs[job.id] = replace(job, error=reason)
            self._show(self._jobs[job.id])

    async def _trim(self) -> None:
        """A chain whose blocks are passed over again and again orders that each time."""
        over = sorted((job for job in self._jobs.values() if job.is_over), key=lambda job: (job.created, job.id))
        for job in over[:-KEPT_JOBS]:
            await patiently("backfill", partial(self._book.drop, job.id))
            del self._jobs[job.id]
