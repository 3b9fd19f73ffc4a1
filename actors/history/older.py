"""The record that history goes on from, and whether it still held where history begins."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from indexer.domain.chain import Holding
from indexer.domain.history.jobs import Job
from indexer.domain.recording.records import BalanceRecord


class Records(Protocol):
    """Records that there are already."""

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None: ...

    async def oldest(self, chain_id: int, holding: Holding, above: int = -1) -> BalanceRecord | None: ...


class Older(NamedTuple):
    """The newest record up to some block; `holds` until there, or else nobody looked at the blocks in between."""

    record: BalanceRecord
    holds: bool


async def older_than(records: Records, job: Job, holding: Holding, block: int) -> Older | None:
    """What is recorded of the blocks below `block`; two orders may have left a gap that nobody filled."""
    record = await records.at_block(job.chain_id, holding, block - 1) if block > 0 else None
    if record is None or record.block.number == block - 1:
        return None if record is None else Older(record, holds=True)
    if job.goes_on and block <= job.first:
        return Older(record, holds=True)
    if job.filled_from is not None and record.block.number >= job.filled_from and block <= job.first:
        # Its first block is where the one before ended; above it, whatever cannot be read was looked at by nobody.
        return Older(record, holds=True)
    following = await records.oldest(job.chain_id, holding, above=record.block.number)
    return Older(record, holds=following is not None and not following.was_found_late)
