"""What is filled builds on blocks and records: whether they are of the branch that stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from actors.history.collecting import Node
from actors.history.telling import Chunks
from indexer.domain.chain import BlockRef, Holding
from indexer.domain.history.jobs import Job, Stage, rests_of
from indexer.domain.history.stories import Depths
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.telling.streams import chain_stream
from indexer.errors import BadAnswer


class Records(Protocol):
    """Records that there are already."""

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None: ...


class Checkpoints(Protocol):
    """How far the chain's live actor is, a few seconds late."""

    async def followed(self, stream: str) -> int | None: ...


class Branches:
    """Asks a node which blocks are canonical now, of those that a job or a record names."""

    def __init__(
        self, *, chain_id: int, node: Node, chunks: Chunks, records: Records, checkpoints: Checkpoints, window: int
    ) -> None:
        self._stream = chain_stream(chain_id)
        self._node = node
        self._chunks = chunks
        self._records = records
        self._checkpoints = checkpoints
        self._window = window

    async def depths(self) -> Depths:
        """How deep a reorg is counts from where the live actor is, which may be behind.

        One that it takes back block by block may then reach below what is final to the node.
        """
        followed = await self._checkpoints.followed(self._stream)
        newest = await self._node.newest()
        safe, finalized, *_ = await self._node.tags()
        final = max(newest.number - self._window, -1 if finalized is None else finalized.number)
        by = newest if finalized is None or finalized.number < final else finalized
        settled = -1 if followed is None else min(final, followed - self._window)
        return Depths(max(final, -1 if safe is None else safe.number), final, settled, by.ref, newest.ref)

    async def is_canonical(self, block: BlockRef, beside: BlockRef | None = None) -> bool:
        (head,) = await self._node.headers(block.number, block.number, beside)
        return head.hash == block.hash

    async def check(self, records: Sequence[BalanceRecord]) -> None:
        """A reorg may have orphaned a record that the live actor has not taken back yet."""
        for block in dict.fromkeys(record.block for record in records):
            if not await self.is_canonical(block):
                raise BadAnswer(f"block {block.number} is being replaced")

    async def grounded(self, job: Job) -> Job:
        """From where the order began in whose place this one came, if what that had told below is gone.

        A cut took it, or a reorg since then reached below our first block.
        """
        if job.after is not None and not await self.is_canonical(job.after):
            job = replace(job, after=None, trailing=frozenset())  # what was recorded there may be gone
        while job.grounds and not await self._holds(job):
            job = job.lowered()
        return job

    async def _holds(self, job: Job) -> bool:
        """Whether its ground is canonical, and what was told up to there is there."""
        if not await self.is_canonical(job.grounds[-1].block):
            return False
        return await self._are_there(job.chain_id, rests_of(job.grounds), job.first - 1)

    async def _are_there(self, chain_id: int, rests: Mapping[Holding, int], block: int) -> bool:
        """A cut may have been lower than where the branches part."""
        for holding, number in rests.items():
            row = await self._records.at_block(chain_id, holding, block)
            if row is None or row.block.number < number:
                return False
        return True

    async def is_gone(self, job: Job) -> bool:
        return job.highest is not None and not await self.is_canonical(job.highest)

    async def branch_of(self, job: Job) -> Sequence[BlockRef] | None:
        """The blocks below the highest one that a reorg may reach; nothing where not all was collected from them.

        Endpoints that hear of a reorg one after the other may each have answered for some of the blocks.
        """
        highest, low = job.highest, max(job.first, job.settled + 1)
        if highest is None or low > highest.number:
            return ()
        heads = await self._node.headers(low, highest.number)
        names = {head.number: head.hash for head in heads}
        if names.get(highest.number) != highest.hash:
            return None
        async for chunk in self._chunks.chunks(job.id, newest_first=True):
            if chunk.last < low:
                break
            blocks = (*(each.block for each in chunk.moved), *(native.block for native in chunk.natives))
            if any(names.get(block.number, block.hash) != block.hash for block in blocks):
                return None
        return [head.ref for head in heads]

    async def kept(self, job: Job, beside: BlockRef) -> Stage | None:
        """The highest of its stages that a reorg left, with all records up to it.

        And two blocks below the highest of all: the record that it reached up to may be one of the block right above
        or right there by now, and has to be joined to the one below.
        """
        highest: int | None = None
        for stage in reversed(job.stages):
            number = stage.block.number
            if highest is None and await self.is_canonical(stage.block, beside):
                highest = number
            if highest is not None and number <= highest - 2:
                return stage if await self._are_there(job.chain_id, job.told_to(stage), number) else None
        return None

    async def stands(self, job: Job, beside: BlockRef) -> bool:
        """Whether what was filled up to the settled block is canonical: a reorg may be deeper than the window.

        A block without rows tells as well: an endpoint on a fork may have left out what is in the one in its place.
        So does a row that is gone: the cut may have been lower than where the branches part.
        """
        if job.base is not None and not await self.is_canonical(job.base, beside):
            return False
        rows = {each: await self._records.at_block(job.chain_id, each, job.settled) for each in job.holdings}
        there = {each: row.block for each, row in rows.items() if row is not None and row.block.number >= job.first}
        if any(holding not in there or there[holding].number < number for holding, number in job.rests.items()):
            return False
        for block in dict.fromkeys(there.values()):
            if not await self.is_canonical(block, beside):
                return False
        return True
