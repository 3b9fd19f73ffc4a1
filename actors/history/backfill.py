"""One chain's history: takes orders to fill it and works them off, one after the other, while heads go first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from actors.base import AsyncActor, Report
from actors.chains.books.ledger import Ledger
from actors.history import jobs
from actors.history.filling import Filler
from actors.history.jobs import Jobs
from actors.history.planning import Coverage, Planner
from actors.history.preparing import NEVER_READ
from actors.history.settling import Settler
from actors.messages import BalancesRead, Begin, BranchLeft, PassedOver, Resumed, WatchChanged
from actors.statusboard import Line
from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from indexer.domain.health.status import StreamState
from indexer.domain.history.jobs import Job
from indexer.errors import BlockUnknown, Fenced, Permanent, Transient, WrongChain

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 10.0

PROJECTED_SECONDS = 5.0
"""So long what was passed over is waited for at a time."""

SETTLE_SECONDS = 2.0
"""How often history that a reorg may still reach is compared with the chain."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Fill the history of these balances from block `first` on.

    Answers with the jobs that will do it, and whether any of them is new.
    """

    holdings: tuple[Holding, ...]
    first: int
    last: int | None = None


@dataclass(frozen=True, slots=True)
class StartAt:
    """Whatever is watched is filled from this block on; with nothing, only what is ordered."""

    first: int | None


class BackfillActor(AsyncActor):
    """A sibling of the chain's live actor, with a stream of its own."""

    def __init__(
        self,
        *,
        name: str,
        chain_id: int,
        stream: str,
        start_block: int | None,
        watch: Watch,
        filler: Filler,
        settler: Settler,
        ledger: Ledger,
        book: jobs.Book,
        coverage: Coverage,
        resumed: Callable[[Resumed], None],
        projected: Callable[[str, int], Awaitable[None]],
        newest: Callable[[], PassedOver],
        show: Callable[[Job], None],
        line: Line,
        clock: Callable[[], float] = time.time,
        report: Report | None = None,
    ) -> None:
        super().__init__(report=report)
        self._name = name
        self._chain_id = chain_id
        self._stream = stream
        self._filler = filler
        self._settler = settler
        self._ledger = ledger
        self._resumed = resumed
        self._projected = projected
        self._newest = newest
        self._line = line
        self._wake = asyncio.Event()
        self._jobs = Jobs(
            name=name,
            chain_id=chain_id,
            book=book,
            show=show,
            changed=lambda: self._line.say(self._state()),
            ordered=self._wake.set,
            clock=clock,
        )
        self._planner = Planner(chain_id=chain_id, first=start_block, watch=watch, coverage=coverage, jobs=self._jobs)
        self._passed: PassedOver | None = None
        """Since orders were looked for."""

    # --- hearing -----------------------------------------------------------------------------------------------------

    async def receive(self, message: Any) -> Any:
        match message:
            case Begin():
                self.spawn(self._labour(), f"backfill {self._name}")
            case WatchChanged(watch):
                self._planner.rewatch(watch)
                self._wake.set()
            case StartAt(first):
                self._planner.start_at(first)
                self._wake.set()
            case BranchLeft():
                self._wake.set()  # what it orphaned of history is to be filled again, and may be served until then
            case PassedOver():
                self._passed = message
                self._wake.set()
            case BalancesRead(holdings):
                if self._planner.was_read(holdings):
                    self._wake.set()
            case Fill(holdings, first, last):
                return await self._order(Job("", self._chain_id, first, last, holdings))
        return None

    async def _order(self, order: Job) -> tuple[Sequence[Job], bool]:
        known = {job.id for job in self._jobs.all()}
        made = await self._jobs.order(order, waits=False)
        return made, any(job.id not in known for job in made)

    # --- working -----------------------------------------------------------------------------------------------------

    async def _labour(self) -> None:
        """Whatever goes wrong with history, the chain's live actor and all others go on."""
        pause, begun, begun_again = FIRST_RETRY_SECONDS, False, False
        while True:
            try:
                if not begun:
                    await self._begin()
                    begun = True
                self._wake.clear()  # not later: an order may come in while we look at others
                await self._take_up()
                await self._planner.plan_due()
                worked = await self._work()
                if worked:
                    self._planner.look_again()
            except (Transient, WrongChain) as error:
                log.debug("backfill_waits", chain=self._name, error=repr(error))
                self._jobs.trouble(str(error))
                self._line.say(self._state() if begun else "starting", repr(error))
                await asyncio.sleep(pause)
                pause = min(LONGEST_RETRY_SECONDS, pause * 2)
            except Fenced as error:
                if not self._ledger.writer.has_written and not begun_again:
                    # As with the chain itself: what an earlier life wrote may arrive late, once.
                    begun, begun_again = False, True
                    continue
                log.error("backfill_stepped_down", chain=self._name, reason=str(error))  # noqa: TRY400 - no bug of ours
                self._line.say("stopped", str(error))
                return
            else:
                pause = FIRST_RETRY_SECONDS
                self._line.say(self._state())
                if not worked:
                    await self._sleep()

    async def _begin(self) -> None:
        await self._ledger.count_on()
        self._resumed(Resumed(self._stream, self._ledger.seq))
        await self._jobs.load()
        newest = self._newest()  # what an earlier life was told of may be projected only now
        if self._passed is None or self._passed.seq < newest.seq:  # or we were told of more while the store answered
            self._passed = newest
        self._line.say(self._state())

    async def _take_up(self) -> None:
        """Orders that were made of what the chain's live actor passed over."""
        passed = self._passed
        if passed is None:
            return
        try:
            async with asyncio.timeout(PROJECTED_SECONDS):
                await self._projected(passed.stream, passed.seq)
        except TimeoutError:
            return  # said before it was written; if it never is, others need not wait for it
        await self._jobs.take_up()
        self._planner.look_again()
        if self._passed is passed:
            self._passed = None

    async def _work(self) -> bool:
        """Look at settled jobs again, then do the next one; whether there was anything to do."""
        # First: a job must not stand on, nor go on from, what one of those has to take back.
        if await self._settle():
            return True
        job = next(self._jobs.unfinished(), None)
        if job is None:
            return False
        try:
            done = await self._filler.fill(job, self._jobs.keep)
        except (Transient, WrongChain, Fenced, asyncio.CancelledError):
            raise
        except Permanent as error:
            await self._fail(job, error)
        except Exception as error:  # the boundary: a job that cannot be done must not end the service with it
            log.exception("backfill_crashed", chain=self._name, job=job.id)
            await self._fail(job, error)
        else:
            await self._jobs.keep(done)
            await self._jobs.forget(job)
            self._planner.was_never_read([key for key, why in done.reasons.items() if why == NEVER_READ])
            log.info(
                "history_filled",
                chain=self._name,
                job=job.id,
                first=job.first,
                records=done.records,
                derived=done.derived,
                unproven=len(done.reasons),
            )
        return True

    async def _settle(self) -> bool:
        """Look at those again that a reorg may still reach; whether one has to be filled anew."""
        if await self._leave():
            return True
        open_ones = [job for job in self._jobs.all() if job.state == "settling"]
        if not open_ones:
            return False
        depths = await self._settler.depths()
        for settling in open_ones:
            settled, again = await self._settler.settle(settling, depths)
            if again is not None:  # before the old job is over: a crash in between must not forget it
                await self._jobs.order(again.as_order(in_place_of=settling.id))
            if settled != settling:
                await self._jobs.keep(settled)
            if again is not None:
                return True
        return False

    async def _leave(self) -> bool:
        """Nor must what was told in part stay until its turn: it would take with it what another filled again by then.

        A wider order may prove less than a narrower one that it overlaps.
        """
        for telling in [job for job in self._jobs.all() if job.state == "telling"]:
            try:
                left = await self._filler.left(telling)
            except BlockUnknown:
                continue
            if left is not telling:
                await self._jobs.keep(left)
                await self._jobs.forget(telling)
                return True
        return False

    def _state(self) -> StreamState:
        return "catching_up" if next(self._jobs.unfinished(), None) else "live"

    async def _fail(self, job: Job, error: Exception) -> None:
        job = self._jobs.known_as(job)
        await self._jobs.keep(replace(job, state="failed", error=str(error) or repr(error)))
        log.error("backfill_failed", chain=self._name, job=job.id, error=repr(error))

    async def _sleep(self) -> None:
        settling = any(job.state == "settling" for job in self._jobs.all())
        try:
            async with asyncio.timeout(SETTLE_SECONDS if settling or self._passed else None):
                await self._wake.wait()
        except TimeoutError:
            return
