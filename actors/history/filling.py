"""Works off one job: anchors, collecting, walking, telling, and settling what a reorg may still reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from actors.chains.ledger import Ledger
from actors.history import anchoring, crossing
from actors.history.anchoring import Anchorage
from actors.history.collecting import Collector, Node
from actors.history.crossing import crossed_by
from actors.history.older import Older, older_than
from actors.history.telling import Narrator
from indexer.domain.backfill import Chunk, changes_of
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, BlockRef, Holding, TokenInfo
from indexer.domain.crossings import Crossed, through
from indexer.domain.facts import HistoryFilled
from indexer.domain.jobs import Job, anchor_at
from indexer.domain.records import BalanceRecord
from indexer.domain.stories import Depths
from indexer.domain.walks import Walk, walked
from indexer.errors import BadAnswer, BlockUnknown

log = structlog.get_logger(__name__)

SAVE_SECONDS = 1.0

Keep = Callable[[Job], Awaitable[None]]


class Book(Protocol):
    """What was collected, and what is covered by it."""

    async def put(self, job_id: str, chunk: Chunk) -> None: ...

    def chunks(self, job_id: str, *, newest_first: bool) -> AsyncIterator[Chunk]: ...

    async def lowest(self, job_id: str) -> Chunk | None: ...

    async def cover(self, chain_id: int, first: int, holdings: Sequence[Holding]) -> None: ...


class Records(anchoring.Records, crossing.Records, Protocol):
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
        stream: str,
        node: Node,
        collector: Collector,
        narrator: Narrator,
        ledger: Ledger,
        book: Book,
        records: Records,
        tokens: Tokens,
        window: int,
        projected: Callable[[str, int], Awaitable[None]],
        breathe: Callable[[], Awaitable[None]],
        saw: Callable[[Job], None],
        caught_up: Callable[[], Awaitable[None]],
        due: Callable[[], Collection[Holding]],
        watched: Callable[[], Watch],
    ) -> None:
        self._name = name
        self._stream = stream
        self._node = node
        self._collector = collector
        self._narrator = narrator
        self._ledger = ledger
        self._book = book
        self._records = records
        self._tokens = tokens
        self._window = window
        self._projected = projected
        self._breathe = breathe
        self._saw = saw
        self._watched = watched
        self._anchorage = Anchorage(records=records, caught_up=caught_up, due=due, watched=watched)
        self._clock = asyncio.get_running_loop().time
        self._walked: tuple[str, dict[Holding, Walk]] = ("", {})
        """How far balances were walked back while their changes were collected."""

    async def fill(self, job: Job, keep: Keep) -> Job:
        """From wherever an earlier life left it to its end."""
        if job.state == "queued":
            job = await self._prepare(job)
            # Not before: the highest block may be of a branch that came while it was looked for.
            if job.ground is not None and not await self._is_canonical(job.ground, job.highest):
                raise BadAnswer(f"block {job.ground.number} is being replaced")
            await keep(job)
        if not job.anchors:
            return await self._over(job)
        if job.state == "collecting":
            # Before as well: nothing can be collected below a highest block that is gone. What is asked once more may
            # be answered otherwise, by another node: without having collected, nothing is told.
            is_gone = await self._is_gone(job)
            if not is_gone:
                job = await self._collect(job, keep)
                is_gone = await self._is_gone(job)
            if is_gone or not await self._is_of_one_branch(job):
                return _left(job)
            job = replace(job, state="telling", seq=self._ledger.seq)
            await keep(job)
        return await self._tell(job)

    # --- anchors -----------------------------------------------------------------------------------------------------

    async def _grounded(self, job: Job) -> Job:
        """From where the order began in whose place this one came, if what that had told below is gone.

        A cut took it, or a reorg since then reached below our first block.
        """
        if job.after is not None and not await self._is_canonical(job.after):
            job = replace(job, after=None, trailing=frozenset())  # what was recorded there may be gone
        if job.filled_from is None:
            return job
        anew = replace(job, first=job.filled_from, filled_from=None, ground=None, rests={})
        if job.ground is not None and not await self._is_canonical(job.ground):
            return anew
        for holding, number in job.rests.items():
            row = await self._records.at_block(job.chain_id, holding, job.first - 1)
            if row is None or row.block.number < number:
                return anew
        return job

    async def _prepare(self, job: Job) -> Job:
        job = await self._grounded(job)
        depths, watch = await self._depths(), self._watched()
        found = await self._anchorage.of(job)
        watched = {holding for holding in found if watch.covers(holding) and self._watched().covers(holding)}
        await self._check([record for record in found.values() if record.block.number > depths.settled])
        never = {holding: "it was never read" for holding in job.holdings if holding not in found}
        nothing = {holding: record for holding, record in found.items() if record.block.number <= job.first}
        await self._book.cover(job.chain_id, job.first, [holding for holding in nothing if holding in watched])
        # That nothing has happened since is only known of those that are followed.
        left = {holding: _why_nothing(record) for holding, record in nothing.items() if holding not in watched}
        anchors = {holding: anchor_at(record) for holding, record in found.items() if record.block.number > job.first}
        top = max((anchor.number for anchor in anchors.values()), default=job.first)
        job = replace(
            job,
            anchors=anchors,
            holdings=tuple(sorted(anchors)) or job.holdings,
            reasons=never | left,
            state="collecting",
        )
        if not anchors:
            return job
        (head,) = await self._node.headers(top, top, depths.by)
        if any(record.block.number == top and record.block.hash != head.hash for record in found.values()):
            # Since its records were compared: they say nothing of `head`.
            raise BadAnswer(f"block {top} is being replaced")
        low, base = min(depths.settled, top), None
        if job.first <= low:
            (base,) = (head,) if low == top else await self._node.headers(low, low, head.ref)
        return replace(
            job, top=top, cursor=top, highest=head.ref, settled=depths.settled, base=None if base is None else base.ref
        )

    async def _check(self, records: Sequence[BalanceRecord]) -> None:
        """A reorg may have orphaned a record that the live actor has not taken back yet."""
        for block in dict.fromkeys(record.block for record in records):
            if not await self._is_canonical(block):
                raise BadAnswer(f"block {block.number} is being replaced")

    async def _crossed(self, job: Job, settled: int) -> Crossed:
        crossed = await crossed_by(self._records, job)
        await self._check([row for rows in crossed.values() for row in rows if row.block.number > settled])
        return crossed

    async def _depths(self) -> Depths:
        newest = await self._node.newest()
        safe, finalized, _ = await self._node.tags()
        final = max(newest.number - self._window, -1 if finalized is None else finalized.number)
        by = newest if finalized is None or finalized.number < final else finalized
        return Depths(max(final, -1 if safe is None else safe.number), final, final, by.ref)

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
                chunks = await self._collector.step(job)
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
        self._walked = (job.id, walks)
        return job

    # --- telling -----------------------------------------------------------------------------------------------------

    async def left(self, job: Job) -> Job:
        """One that is to tell, or told a part, as what has to be taken back, where its branch is gone; else itself."""
        if job.highest is None or await self._is_canonical(job.highest, (await self._depths()).by):
            return job
        return _left(job, has_told=await self._narrator.has_told(job))

    async def _tell(self, job: Job) -> Job:
        if (left := await self.left(job)) is not job:
            return left
        depths, beside = await self._depths(), job.highest
        crossed = await self._crossed(job, depths.settled)
        walked_id, walks = self._walked
        if walked_id != job.id:
            walks = await self._narrator.walk(job, crossed)
        self._walked = ("", {})
        older = {holding: await older_than(self._records, job, holding, job.first) for holding in walks}
        builds_on = [before.record for before in older.values() if before is not None and before.holds]
        await self._check([record for record in builds_on if record.block.number > depths.settled])
        known = await self._known(job, walks, older, beside)
        for holding, walk in walks.items():
            walk.finish(job.first, known.get(holding))
        if job.is_native and job.unread is not None:
            for walk in walks.values():
                walk.reason = f"native balances up to block {job.unread} cannot be read: the node has no state there"
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
        covered = [holding for holding, anchor in job.anchors.items() if job.end_of(holding) == anchor.number - 1]
        await self._book.cover(job.chain_id, job.first, covered)
        return replace(job, state="settling" if await self._may_go(job) else "done", error=None)

    async def _may_go(self, job: Job) -> bool:
        if job.highest is None or job.highest.number > job.settled:
            return job.highest is not None
        return not await self._is_canonical(job.highest, (await self._depths()).by)

    # --- settling ----------------------------------------------------------------------------------------------------

    async def settle(self, job: Job) -> tuple[Job, Job | None]:
        """The job when nothing can happen to it any more; with a second one, the part of it that has to be redone."""
        assert job.highest is not None  # noqa: S101 - what settles has a highest block
        depths = await self._depths()
        try:
            (head,) = await self._node.headers(job.highest.number, job.highest.number, depths.by)
        except BlockUnknown:
            return job, None
        if head.hash == job.highest.hash and job.is_told:
            return (job if job.highest.number > depths.settled else replace(job, state="done")), None
        first = max(job.first, job.settled + 1) if await self._stands(job, head.ref) else job.first
        if first > job.first and any(anchor.number == first for anchor in job.anchors.values()):
            first -= 1  # that record is replaced: what is in its place has to be joined to the one below
        if job.last is not None and job.last < first:
            return replace(job, state="done"), None
        facts = [self._void(job, holding, first) for holding in job.holdings if job.end_of(holding) >= first]
        again = job.again_from(first)
        if facts and job.told is not None:
            await self._ledger.commit(facts, head)
            await self._projected(self._stream, self._ledger.seq)
        else:  # whatever is there was told by others
            again = replace(again, anchors={})
        log.info("history_taken_back", chain=self._name, job=job.id, first=first)
        return replace(job, state="done"), again

    async def _stands(self, job: Job, beside: BlockRef) -> bool:
        """Whether what was filled up to the settled block is canonical: a reorg may be deeper than the window.

        A block without rows tells as well: an endpoint on a fork may have left out what is in the one in its place.
        So does a row that is gone: the cut may have been lower than where the branches part.
        """
        if job.base is not None and not await self._is_canonical(job.base, beside):
            return False
        rows = {each: await self._records.at_block(job.chain_id, each, job.settled) for each in job.holdings}
        there = {each: row.block for each, row in rows.items() if row is not None and row.block.number >= job.first}
        if any(holding not in there or there[holding].number < number for holding, number in job.rests.items()):
            return False
        for block in dict.fromkeys(there.values()):
            if not await self._is_canonical(block, beside):
                return False
        return True

    async def _is_of_one_branch(self, job: Job) -> bool:
        """Whether all that was collected where a reorg may reach lies below the highest block, and that one stays.

        Endpoints that hear of a reorg one after the other may each have answered for some of the blocks.
        """
        highest, low = job.highest, max(job.first, job.settled + 1)
        if highest is None or low > highest.number:
            return True
        names = {head.number: head.hash for head in await self._node.headers(low, highest.number)}
        if names.get(highest.number) != highest.hash:
            return False
        async for chunk in self._book.chunks(job.id, newest_first=True):
            if chunk.last < low:
                break
            blocks = (*(each.block for each in chunk.moved), *(native.block for native in chunk.natives))
            if any(names.get(block.number, block.hash) != block.hash for block in blocks):
                return False
        return True

    async def _is_gone(self, job: Job) -> bool:
        return job.highest is not None and not await self._is_canonical(job.highest)

    async def _is_canonical(self, block: BlockRef, beside: BlockRef | None = None) -> bool:
        (head,) = await self._node.headers(block.number, block.number, beside)
        return head.hash == block.hash

    def _void(self, job: Job, holding: Holding, first: int) -> HistoryFilled:
        return HistoryFilled(
            chain_id=job.chain_id,
            holding=holding,
            first=first,
            last=job.end_of(holding),
            rows=(),
            info=TokenInfo(),
            job=job.id,
            reason="a reorg took it back; it is filled again",
            void=True,
        )


def _left(job: Job, *, has_told: bool = False) -> Job:
    """Its branch is gone: no more of it is told, what was told already is taken back, and all of it is filled anew."""
    return replace(job, state="settling", settled=job.first - 1, told=job.first - 1 if has_told else None)


def _why_nothing(record: BalanceRecord) -> str:
    return f"nobody watches it any more, and there is nothing to fill below its record of block {record.block.number}"
