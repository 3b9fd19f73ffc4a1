"""Tells history that was collected, from the oldest block up, once it is known what of it is proven."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from actors.chains.books.ledger import Ledger
from actors.history.older import Records, older_than
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding, TokenInfo
from indexer.domain.history.backfill import Chunk, changes_of
from indexer.domain.history.crossings import Crossed, through
from indexer.domain.history.jobs import Job
from indexer.domain.history.stories import Depths, Stories, Story, parts
from indexer.domain.history.walks import Teller, Walk, walked
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import HistoryFilled

PAGE = 50

NOBODY = BlockHash("0x" + "0" * 64)


class Chunks(Protocol):
    """What was collected."""

    def chunks(self, job_id: str, *, newest_first: bool) -> AsyncIterator[Chunk]: ...


class Log(Protocol):
    """Where it is found what was told before a restart."""

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]: ...


class Narrator:
    """Walks a job's balances back, then tells them; every commit says how far it got, so that a restart goes on."""

    def __init__(
        self,
        *,
        stream: str,
        ledger: Ledger,
        log: Log,
        chunks: Chunks,
        records: Records,
        projected: Callable[[str, int], Awaitable[None]],
        breathe: Callable[[], Awaitable[None]],
        saw: Callable[[Job], None],
    ) -> None:
        self._stream = stream
        self._ledger = ledger
        self._log = log
        self._chunks = chunks
        self._records = records
        self._projected = projected
        self._breathe = breathe
        self._saw = saw

    async def walk(self, job: Job, crossed: Crossed) -> dict[Holding, Walk]:
        """Every balance walked back to below the first block."""
        holdings = frozenset(job.holdings)
        walks = walked(job.anchors, ())
        async for chunk in self._chunks.chunks(job.id, newest_first=True):
            for change in reversed(through(chunk, changes_of(chunk, holdings), crossed)):
                walks[change.holding].step(change)
            await self._breathe()
        return walks

    async def has_told(self, job: Job) -> bool:
        """Whether an earlier life, or an earlier try, told any of it."""
        async for commit in self._since(job.seq):
            if _told_by(job, commit):
                return True
        return False

    async def tell(
        self,
        job: Job,
        walks: Mapping[Holding, Walk],
        crossed: Crossed,
        opened: Mapping[Holding, int],
        opening: BlockRef,
        depths: Depths,
        infos: Mapping[str, TokenInfo],
    ) -> Job:
        """Commit all that is not told yet; `opened` are balances that were read at the `opening` block itself."""
        stories = await self._stories(job, walks, depths, infos)
        crossed = stories.cross(crossed)
        job, done = await self._resumed(job, stories)
        for holding in stories.each:
            stories.open(holding, opening, opened.get(holding))
        holdings = frozenset(job.holdings)
        async for chunk in self._chunks.chunks(job.id, newest_first=False):
            for change in through(chunk, changes_of(chunk, holdings), crossed):
                stories.take(change)
            if stories.is_full:
                job = await self._commit(job, stories.due(chunk.last), chunk.last)
            await self._breathe()
        left = [holding for holding in stories.each if holding not in done]
        job = await self._commit(job, stories.endings(left, {key: walk.reason for key, walk in walks.items()}), None)
        await self._projected(self._stream, self._ledger.seq)
        return replace(job, told=job.top, stages=stories.staged(job.stages))

    async def _stories(
        self, job: Job, walks: Mapping[Holding, Walk], depths: Depths, infos: Mapping[str, TokenInfo]
    ) -> Stories:
        stories = Stories(job, depths, infos)
        for holding, walk in walks.items():
            older = await older_than(self._records, job, holding, job.first)
            held = walk.opening
            knows_logs = older is not None and job.is_accounted_for(holding, older.record.block.number)
            if job.unread is not None and not walk.is_proven:
                # Up to there nothing is told: what can be read above it goes on from what is recorded already.
                older = await older_than(self._records, job, holding, min(job.unread + 1, walk.anchor))
                held, knows_logs = held if older is None else older.record.balance if older.holds else None, False
            follows = older is not None and older.holds
            teller = Teller(walk.anchor, job.end_of(holding), walk.is_proven, held, is_first=not follows)
            teller.has_gap = older is not None and not follows
            if older is not None and older.record.block.number != job.first - 1 and not knows_logs:
                teller.trail = None  # nobody looked for logs between that record and our first block
            stories.each[holding] = Story(teller, job.first - 1)
        return stories

    async def _resumed(self, job: Job, stories: Stories) -> tuple[Job, set[Holding]]:
        """How far an earlier life told this job, by what it committed."""
        done = set[Holding]()
        job = replace(job, told=None, records=0, derived=0).without_rows()
        async for commit in self._since(job.seq):
            facts = _told_by(job, commit)
            for fact in facts:
                stories.each[fact.holding].told = fact.last
                if fact.final:
                    done.add(fact.holding)
            if facts and commit.checkpoint is not None:
                job = _with(replace(job, told=commit.checkpoint.head.number), facts)
        return job, done

    async def _since(self, after: int) -> AsyncIterator[Commit]:
        while page := await self._log.since(self._stream, after, PAGE):
            for commit in page:
                yield commit
            after = page[-1].last_seq

    async def _commit(self, job: Job, facts: Sequence[HistoryFilled], last: int | None) -> Job:
        """All of them; only the last commit says that everything up to the end of block `last` is told."""
        told = job.first - 1 if job.told is None else job.told
        for part in parts(facts):
            rows = [fact.rows[-1].block for fact in part if fact.rows]
            block = max(rows, key=lambda block: block.number, default=None)
            number = last if last is not None and part[-1] is facts[-1] else told
            head = Head(number, block.hash if block else NOBODY, NOBODY, block.timestamp if block else 0)
            # The one before has to be readable by now: one is written while another is projected, never more.
            before = self._ledger.seq
            await self._ledger.commit(part, head)
            job = _with(replace(job, told=number), part)
            self._saw(job)
            await self._projected(self._stream, before)
            await self._breathe()
        return job


def _told_by(job: Job, commit: Commit) -> list[HistoryFilled]:
    ours = [fact for fact in commit.facts if isinstance(fact, HistoryFilled)]
    return [fact for fact in ours if fact.job == job.id and not fact.void]


def _with(job: Job, facts: Sequence[HistoryFilled]) -> Job:
    rows = [row for fact in facts for row in fact.rows]
    job = job.with_rows((fact.holding, row.block.number) for fact in facts for row in fact.rows)
    return replace(job, records=job.records + len(rows), derived=job.derived + sum(row.derived for row in rows))
