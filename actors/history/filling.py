"""Works off one job: prepared, collected, walked, told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from actors.chains.books.ledger import Ledger
from actors.history.branches import Branches
from actors.history.collecting import Collector, Node
from actors.history.crossing import Records as CrossedRecords
from actors.history.crossing import crossed_by
from actors.history.doubting import SecondLook
from actors.history.older import Older, older_than
from actors.history.older import Records as OlderRecords
from actors.history.preparing import Coverage, Preparer
from actors.history.telling import Narrator
from indexer.domain.chain import Address, BlockRef, Holding, TokenInfo
from indexer.domain.history.backfill import Chunk, changes_of
from indexer.domain.history.crossings import Crossed, through
from indexer.domain.history.jobs import Job, stages_of
from indexer.domain.history.walks import Walk, walked
from indexer.errors import StateMissing

log = structlog.get_logger(__name__)

SAVE_SECONDS = 1.0

SURE_SECONDS = 60.0
"""Before logs are taken for gone, where there is another endpoint: what is not filled then is not tried by itself."""

Keep = Callable[[Job], Awaitable[None]]


class Book(Protocol):
    """What was collected."""

    async def put(self, job_id: str, chunk: Chunk) -> None: ...

    async def lowest(self, job_id: str) -> Chunk | None: ...


class Records(OlderRecords, CrossedRecords, Protocol):
    """Records that there are already."""


class Tokens(Protocol):
    """What tokens say of themselves."""

    async def describe(self, chain_id: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]: ...


class Filler:
    """Every step may be repeated: what is stored says where to go on."""

    def __init__(
        self,
        *,
        name: str,
        node: Node,
        preparer: Preparer,
        collector: Collector,
        second: SecondLook,
        narrator: Narrator,
        ledger: Ledger,
        branches: Branches,
        book: Book,
        coverage: Coverage,
        records: Records,
        tokens: Tokens,
        breathe: Callable[[], Awaitable[None]],
        saw: Callable[[Job], None],
    ) -> None:
        self._name = name
        self._node = node
        self._preparer = preparer
        self._collector = collector
        self._second = second
        self._narrator = narrator
        self._ledger = ledger
        self._branches = branches
        self._book = book
        self._coverage = coverage
        self._records = records
        self._tokens = tokens
        self._breathe = breathe
        self._saw = saw
        self._clock = asyncio.get_running_loop().time
        self._walked: tuple[str, dict[Holding, Walk]] = ("", {})
        """How far balances were walked back while their changes were collected."""

    async def fill(self, job: Job, keep: Keep) -> Job:
        """From wherever an earlier life left it to its end."""
        if job.state == "queued":
            job = await self._preparer.prepare(job)
            await keep(job)
        if not job.anchors:
            return await self._over(job)
        if job.state == "collecting":
            # Before as well: nothing can be collected below a highest block that is gone. What is asked once more may
            # be answered otherwise, by another node: without having collected, nothing is told.
            is_gone = await self._branches.is_gone(job)
            if not is_gone:
                job = await self._collect(job, keep)
                if not job.anchors:
                    return await self._over(job)
                is_gone = await self._branches.is_gone(job)
            branch = None if is_gone else await self._branches.branch_of(job)
            if branch is None:
                return _left(job)
            job = replace(job, state="telling", seq=self._ledger.seq, stages=stages_of(branch, job.settled))
            await keep(job)
        return await self._tell(job)

    # --- collecting --------------------------------------------------------------------------------------------------

    async def _collect(self, job: Job, keep: Keep) -> Job:
        """What is stored already tells how far an earlier life came."""
        crossed = await self._crossed(job, job.settled)
        lowest, walks = await self._book.lowest(job.id), walked(job.anchors, ())
        if lowest is not None:
            job = replace(job, cursor=lowest.first - 1, unread=lowest.unread)
            walks = await self._narrator.walk(job, crossed)
        self._walked = ("", {})
        saved, holdings = self._clock(), frozenset(job.holdings)
        try:
            while job.cursor >= job.first:
                await self._breathe()
                try:
                    chunks = await self._collector.step(job, partial(self._narrowed, job))
                except StateMissing as error:
                    if await self._have_logs_come(job):
                        continue
                    job = await self._without_logs(job, error)
                    await keep(job)
                    break
                for chunk in reversed(chunks):  # downwards, so that there is no hole above the lowest
                    await self._book.put(job.id, chunk)
                    for change in reversed(through(chunk, changes_of(chunk, holdings), crossed)):
                        walks[change.holding].step(change)
                job = replace(job, cursor=chunks[0].first - 1, unread=chunks[0].unread, error=None)
                self._saw(job)
                if self._clock() - saved > SAVE_SECONDS:
                    saved = self._clock()
                    await keep(job)
        finally:
            await self._collector.drop()
        self._walked = (job.id, {key: walk for key, walk in walks.items() if key in job.anchors})
        return job

    async def _have_logs_come(self, job: Job) -> bool:
        """Asked once more: an endpoint that lags, or is set aside, may have what others let go."""
        if job.is_native or not self._second.has_others:
            return False
        await asyncio.sleep(SURE_SECONDS)
        return await self._collector.has_logs(job)

    async def _without_logs(self, job: Job, error: StateMissing) -> Job:
        """All that is left of it where logs are gone, which is no hole in what goes on from below."""
        first = job.cursor + 1
        if job.is_native or first > job.top or job.grounds or job.after is not None:
            raise error
        log.warning("history_logs_gone", chain=self._name, job=job.id, below=first, reason=str(error))
        left = job.without_logs_below(first)
        done = {holding: anchor.number for holding, anchor in job.anchors.items() if holding not in left.anchors}
        await self._coverage.cover(job.chain_id, job.begins, done)
        return left

    def _narrowed(self, job: Job, reason: str) -> None:
        self._saw(replace(job, error=reason))

    async def _crossed(self, job: Job, settled: int) -> Crossed:
        crossed = await crossed_by(self._records, job)
        await self._branches.check([row for rows in crossed.values() for row in rows if row.block.number > settled])
        return crossed

    # --- telling -----------------------------------------------------------------------------------------------------

    async def left(self, job: Job) -> Job:
        """One that is to tell, or told a part, as what has to be taken back, where its branch is gone; else itself."""
        if job.highest is None or await self._branches.is_canonical(job.highest, (await self._branches.depths()).by):
            return job
        return _left(job, has_told=await self._narrator.has_told(job))

    async def _tell(self, job: Job) -> Job:
        if (left := await self.left(job)) is not job:
            return left
        depths, beside = await self._branches.depths(), job.highest
        crossed = await self._crossed(job, depths.settled)
        walked_id, walks = self._walked
        if walked_id != job.id:
            walks = await self._narrator.walk(job, crossed)
        self._walked = ("", {})
        older = {holding: await older_than(self._records, job, holding, job.first) for holding in walks}
        builds_on = [before.record for before in older.values() if before is not None and before.holds]
        await self._branches.check([record for record in builds_on if record.block.number > depths.settled])
        known = await self._known(job, walks, older, beside)
        again = await self._again(job, walks, known, crossed, older)
        if again is None:
            return _left(job)
        walks, known = again
        for holding, walk in walks.items():
            walk.finish(job.first, known.get(holding))
            walk.reason = walk.reason or job.missing
        (head,) = await self._node.headers(job.first, job.first, beside)
        gaps = {holding for holding, before in older.items() if before is not None and not before.holds}
        open_ones = {key for key, walk in walks.items() if walk.opening or (key in gaps and walk.opening is not None)}
        opened = await self._collector.known_before(job, open_ones, job.first, beside)
        infos = await self._tokens.describe(job.chain_id, job.watch.tokens)
        job = await self._narrator.tell(job, walks, crossed, opened, head.ref, depths, infos)
        reasons = {**job.reasons, **{holding: walk.reason for holding, walk in walks.items() if walk.reason}}
        alike: dict[tuple[str, str], list[Holding]] = {}
        for holding, reason in reasons.items():
            alike.setdefault((holding.token, reason), []).append(holding)
        for (token, reason), holdings in alike.items():  # without state it is the same of hundreds
            log.warning(
                "history_unproven",
                chain=self._name,
                token=token,
                reason=reason,
                solver=holdings[0].solver,
                balances=len(holdings),
            )
        return await self._over(replace(job, reasons=reasons))

    async def _again(
        self,
        job: Job,
        walks: dict[Holding, Walk],
        known: dict[Holding, int],
        crossed: Crossed,
        older: Mapping[Holding, Older | None],
    ) -> tuple[dict[Holding, Walk], dict[Holding, int]] | None:
        """With what had been left out where logs and balances do not agree; nothing where its branch is gone.

        Not once some of it is told: that would have to be told anew.
        """
        if not self._second.doubted(job, walks, known) or await self._narrator.has_told(job):
            return walks, known

        async def walk_again() -> tuple[dict[Holding, Walk], dict[Holding, int]]:
            walks = await self._narrator.walk(job, crossed)
            return walks, await self._known(job, walks, older, job.highest)

        again = await self._second.completed(job, walks, known, walk_again)
        is_left = again is not None and await self._branches.branch_of(job) is None
        return None if is_left else again or (walks, known)

    async def _known(
        self,
        job: Job,
        walks: Mapping[Holding, Walk],
        older: Mapping[Holding, Older | None],
        beside: BlockRef | None,
    ) -> dict[Holding, int]:
        """What balances were before the first block: by a record that history goes on from, or by a read.

        Such a record goes first: what moved without a log since is told where a log leads to a read, as if all had been
        filled in one go. One from before a gap proves nothing but a walk that comes down to the very same number.
        """
        there = {holding: before for holding, before in older.items() if before is not None}
        held = {holding: before.record.balance for holding, before in there.items() if before.holds}
        known = {holding: before.record.balance for holding, before in there.items() if walks[holding].derived}
        read = await self._collector.known_before(job, [key for key in walks if key not in held], job.first - 1, beside)
        return known | dict(read) | held

    async def _over(self, job: Job) -> Job:
        anchors = {holding: anchor.number for holding, anchor in job.anchors.items()}
        covered = {holding: number for holding, number in anchors.items() if job.end_of(holding) == number - 1}
        await self._coverage.cover(job.chain_id, job.begins, covered)
        ends = {holding: job.end_of(holding) + 1 for holding in anchors}
        await self._coverage.close(job.chain_id, job.first, ends)
        return replace(job, state="settling" if await self._may_go(job) else "done", error=None)

    async def _may_go(self, job: Job) -> bool:
        if job.highest is None:
            return False
        depths = await self._branches.depths()
        if job.highest.number > min(job.settled, depths.settled):
            return True
        return not await self._branches.is_canonical(job.highest, depths.by)


def _left(job: Job, *, has_told: bool = False) -> Job:
    """Its branch is gone: no more of it is told, what was told already is taken back, and all of it is filled anew."""
    told = job.first - 1 if has_told else None
    return replace(job, state="settling", settled=job.first - 1, told=told, stages=())
