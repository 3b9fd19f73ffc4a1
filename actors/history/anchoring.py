"""Where each balance is known: the record that its history is walked back from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from indexer.domain.history.jobs import Job
from indexer.domain.recording.records import BalanceRecord

LOOK_SECONDS = 0.2
ANCHOR_SECONDS = 30.0
"""How long to wait for a balance's first read; one that cannot be read gets no history."""

TOGETHER = 32
"""Questions to the store at once."""


class Records(Protocol):
    """Records that there are already."""

    async def oldest(self, chain_id: int, holding: Holding, above: int = -1) -> BalanceRecord | None: ...

    async def newest_loose(self, chain_id: int, holding: Holding, above: int) -> BalanceRecord | None: ...

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None: ...


class Anchorage:
    """Finds them; `due` are those that the chain's live actor is to read any moment, of those that are `watched`."""

    def __init__(
        self,
        *,
        records: Records,
        caught_up: Callable[[], Awaitable[None]],
        due: Callable[[], Collection[Holding]],
        watched: Callable[[], Watch],
    ) -> None:
        self._records = records
        self._caught_up = caught_up
        self._due = due
        self._watched = watched
        self._clock = asyncio.get_running_loop().time

    async def of(self, job: Job) -> dict[Holding, BalanceRecord]:
        """A balance that is new is read at once by the chain's live actor: its first record is on its way."""
        deadline = self._clock() + ANCHOR_SECONDS
        found: dict[Holding, BalanceRecord] = {}
        below: dict[Holding, BalanceRecord] = {}
        while True:
            due = self._due()
            await self._caught_up()  # not before: what is not due any more has its record by then
            missing = [holding for holding in job.holdings if holding not in found]
            for start in range(0, len(missing), TOGETHER):
                part = missing[start : start + TOGETHER]
                records = await asyncio.gather(*(self._one(job, holding, holding in due) for holding in part))
                for holding, record in zip(part, records, strict=True):
                    # Nothing above may mean that a reorg's projection has got no further: it is looked at once more.
                    if record is not None and (
                        record.block.number > job.floor_of(holding) or below.get(holding) == record
                    ):
                        found[holding] = record
                    elif record is not None:
                        below[holding] = record
            watch = self._watched()
            if all(key in found or not (key in below or watch.covers(key)) for key in job.holdings):
                return found
            if self._clock() > deadline:
                return {**below, **found}
            await asyncio.sleep(LOOK_SECONDS)

    async def _one(self, job: Job, holding: Holding, is_due: bool) -> BalanceRecord | None:
        if job.last is not None:
            above = await self._records.oldest(job.chain_id, holding, above=job.last)
            return above or await self._records.at_block(job.chain_id, holding, job.last)
        floor = job.floor_of(holding)
        # An order up to some block may have left a hole below a record that is not the oldest any more.
        loose = await self._records.newest_loose(job.chain_id, holding, above=floor)
        found = loose or await self._records.oldest(job.chain_id, holding, above=floor)
        if found is not None or is_due:
            return found
        # Nothing has happened since what was heard last; was that before our first block, nothing is to be filled.
        return await self._records.at_block(job.chain_id, holding, floor)
