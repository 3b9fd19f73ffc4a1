"""Tells history that was collected, from the oldest block up, once it is known what of it is proven."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from actors.ledger import Ledger
from indexer.domain.backfill import Change, Chunk, Teller, Walk, changes_of, finality_of, walked
from indexer.domain.balances import Finality
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding, TokenInfo
from indexer.domain.commits import Commit
from indexer.domain.facts import HistoryFilled, HistoryRow, Joint
from indexer.domain.jobs import Job
from indexer.domain.records import BalanceRecord

COMMIT_ROWS = 500
"""Records in one commit: it is written, told and projected in steps of a few milliseconds."""

COMMIT_FACTS = 500

PAGE = 50

NOBODY = BlockHash("0x" + "0" * 64)


class Chunks(Protocol):
    """What was collected."""

    def chunks(self, job_id: str, *, newest_first: bool) -> AsyncIterator[Chunk]: ...


class Log(Protocol):
    """Where it is found what was told before a restart."""

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]: ...


class Records(Protocol):
    """Records that there are already."""

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None: ...


@dataclass(frozen=True, slots=True)
class Depths:
    """How final blocks are just now; above `settled` a reorg may reach."""

    safe: int
    finalized: int
    settled: int

    def of(self, number: int) -> Finality:
        return finality_of(number, self.safe, self.finalized)


@dataclass(slots=True)
class _Story:
    """One balance while it is told; `told` is the last block that an event covers."""

    teller: Teller
    told: int
    rows: list[HistoryRow] = field(default_factory=list)
    change: Change | None = None
    """What the anchor's own block did."""


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

    async def walk(self, job: Job) -> dict[Holding, Walk]:
        """Every balance walked back to below the first block."""
        holdings = frozenset(job.holdings)
        walks = walked(job.anchors, ())
        async for chunk in self._chunks.chunks(job.id, newest_first=True):
            for change in reversed(changes_of(chunk, holdings)):
                walks[change.holding].step(change)
            await self._breathe()
        return walks

    async def tell(
        self,
        job: Job,
        walks: Mapping[Holding, Walk],
        opened: Mapping[Holding, int],
        opening: BlockRef,
        depths: Depths,
        infos: Mapping[str, TokenInfo],
    ) -> Job:
        """Commit all that is not told yet; `opened` are balances that were read at the `opening` block itself."""
        stories = await self._stories(job, walks)
        job, done = await self._resumed(job, stories)
        for holding, story in stories.items():
            self._open(story, opening, opened.get(holding), depths)
        holdings = frozenset(job.holdings)
        async for chunk in self._chunks.chunks(job.id, newest_first=False):
            job = await self._tell_chunk(job, chunk, holdings, stories, depths, infos)
            await self._breathe()
        return await self._conclude(job, walks, stories, done, infos)

    # --- beginning ---------------------------------------------------------------------------------------------------

    async def _stories(self, job: Job, walks: Mapping[Holding, Walk]) -> dict[Holding, _Story]:
        stories = {}
        for holding, walk in walks.items():
            older = await self._records.at_block(job.chain_id, holding, job.first - 1) if job.first else None
            teller = Teller(walk.anchor, job.end_of(holding), walk.is_proven, walk.opening, is_first=older is None)
            stories[holding] = _Story(teller, job.first - 1)
        return stories

    async def _resumed(self, job: Job, stories: Mapping[Holding, _Story]) -> tuple[Job, set[Holding]]:
        """How far an earlier life told this job, by what it committed."""
        after, done = job.seq, set[Holding]()
        job = replace(job, told=None, records=0, derived=0)
        while page := await self._log.since(self._stream, after, PAGE):
            for commit in page:
                facts = _told_by(job, commit)
                for fact in facts:
                    stories[fact.holding].told = fact.last
                    if fact.final:
                        done.add(fact.holding)
                if facts and commit.checkpoint is not None:
                    job = _with(replace(job, told=commit.checkpoint.head.number), facts)
            after = page[-1].last_seq
        return job, done

    def _open(self, story: _Story, block: BlockRef, read: int | None, depths: Depths) -> None:
        if read is not None and story.teller.held is not None:
            story.teller.held = read
        row = story.teller.open(block, depths.of(block.number), derived=read is None)
        if row is not None and story.told < block.number:
            story.rows.append(row)

    # --- going on ----------------------------------------------------------------------------------------------------

    async def _tell_chunk(
        self,
        job: Job,
        chunk: Chunk,
        holdings: frozenset[Holding],
        stories: Mapping[Holding, _Story],
        depths: Depths,
        infos: Mapping[str, TokenInfo],
    ) -> Job:
        for change in changes_of(chunk, holdings):
            story, number = stories[change.holding], change.block.number
            if number == story.teller.anchor:
                story.change = change
            row = story.teller.row(change, depths.of(number))
            if number > story.told:
                _add(story.rows, row, change)
        if sum(len(story.rows) for story in stories.values()) >= COMMIT_ROWS:
            return await self._commit(job, stories, chunk.last, infos)
        return job

    async def _commit(
        self, job: Job, stories: Mapping[Holding, _Story], last: int, infos: Mapping[str, TokenInfo]
    ) -> Job:
        """All rows so far, up to the end of block `last`; one document, so that it is told whole or not at all."""
        facts = []
        for holding, story in stories.items():
            if not story.rows:
                continue
            end = min(last, job.end_of(holding))
            facts.append(self._fact(job, holding, story, end, infos))
        block = max((fact.rows[-1].block for fact in facts), key=lambda block: block.number)
        # The one before has to be readable by now: one is written while another is projected, never more.
        before = self._ledger.seq
        await self._ledger.commit(facts, Head(last, block.hash, NOBODY, block.timestamp))
        job = _with(replace(job, told=last), facts)
        self._saw(job)
        await self._projected(self._stream, before)
        await self._breathe()
        return job

    # --- ending ------------------------------------------------------------------------------------------------------

    async def _conclude(
        self,
        job: Job,
        walks: Mapping[Holding, Walk],
        stories: Mapping[Holding, _Story],
        done: Collection[Holding],
        infos: Mapping[str, TokenInfo],
    ) -> Job:
        """Every balance is told to its end: without records where there were none, with the reason where it broke."""
        left = [holding for holding in stories if holding not in done]
        for start in range(0, len(left), COMMIT_FACTS):
            facts = []
            for holding in left[start : start + COMMIT_FACTS]:
                story = stories[holding]
                fact = self._fact(job, holding, story, job.end_of(holding), infos)
                joint = self._joint(job, holding, story)
                facts.append(replace(fact, reason=walks[holding].reason, joint=joint, final=True))
            rows = [fact.rows[-1].block for fact in facts if fact.rows]
            block = max(rows, key=lambda block: block.number, default=None)
            # Not further than before: what is left for the next commit is not told yet.
            told = job.first - 1 if job.told is None else job.told
            head = Head(told, block.hash if block else NOBODY, NOBODY, block.timestamp if block else 0)
            await self._ledger.commit(facts, head)
            job = _with(job, facts)
            self._saw(job)
            await self._projected(self._stream, self._ledger.seq)
        return replace(job, told=job.top)

    def _fact(
        self, job: Job, holding: Holding, story: _Story, last: int, infos: Mapping[str, TokenInfo]
    ) -> HistoryFilled:
        first, rows = story.told + 1, tuple(story.rows)
        story.told, story.rows = last, []
        return HistoryFilled(
            chain_id=job.chain_id,
            holding=holding,
            first=min(first, last),
            last=last,
            rows=rows,
            info=infos.get(holding.token, TokenInfo()),
            job=job.id,
        )

    def _joint(self, job: Job, holding: Holding, story: _Story) -> Joint | None:
        """The record at the anchor has an older one below it now, so that its change is known."""
        anchor, teller = job.anchors[holding], story.teller
        if not anchor.is_open or teller.is_first or teller.held is None or job.end_of(holding) < anchor.number - 1:
            return None
        transactions = story.change.transactions if story.change is not None else ()
        return Joint(anchor.number, anchor.balance - teller.held, transactions)


def _told_by(job: Job, commit: Commit) -> list[HistoryFilled]:
    ours = [fact for fact in commit.facts if isinstance(fact, HistoryFilled)]
    return [fact for fact in ours if fact.job == job.id and not fact.void]


def _add(rows: list[HistoryRow], row: HistoryRow | None, change: Change) -> None:
    """A change in the very block that history begins with belongs to the record that is there already."""
    if rows and rows[-1].block == change.block:
        opening = rows.pop()
        row = (row or opening)._replace(change=opening.change, transactions=change.transactions)
    if row is not None:
        rows.append(row)


def _with(job: Job, facts: Sequence[HistoryFilled]) -> Job:
    rows = [row for fact in facts for row in fact.rows]
    return replace(job, records=job.records + len(rows), derived=job.derived + sum(row.derived for row in rows))
