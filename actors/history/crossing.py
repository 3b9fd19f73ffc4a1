"""Finds the records that a job's balances are walked back through."""

from __future__ import annotations

import asyncio
from typing import Protocol

from actors.history.anchoring import TOGETHER
from indexer.domain.chain import Holding
from indexer.domain.history.crossings import Crossed
from indexer.domain.history.jobs import Job
from indexer.domain.recording.records import BalanceRecord


class Records(Protocol):
    """Records that there are already."""

    async def found_late(self, chain_id: int, holding: Holding, first: int, last: int) -> list[BalanceRecord]: ...


async def crossed_by(records: Records, job: Job) -> Crossed:
    """By holding, oldest first; of most there are none, as they are walked back from their oldest record."""
    crossed: dict[Holding, list[BalanceRecord]] = {}
    holdings = tuple(job.anchors)
    for start in range(0, len(holdings), TOGETHER):
        part = holdings[start : start + TOGETHER]
        found = await asyncio.gather(
            *(records.found_late(job.chain_id, holding, job.first, job.end_of(holding)) for holding in part)
        )
        crossed.update((holding, rows) for holding, rows in zip(part, found, strict=True) if rows)
    return crossed
