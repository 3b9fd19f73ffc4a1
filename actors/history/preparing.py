"""From an order to a job that can be worked off: from which records down, and at which blocks that is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from actors.chains.books.ledger import Ledger
from actors.history.anchoring import Anchorage
from actors.history.branches import Branches
from actors.history.settling import taken_back
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockRef, Head, Holding
from indexer.domain.history.jobs import Job, anchor_at
from indexer.domain.recording.records import BalanceRecord
from indexer.errors import BadAnswer

NEVER_READ: Final = "it was never read"


class Node(Protocol):
    """Tells headers, of the branch of a block where one is named."""

    async def newest(self) -> Head: ...

    async def headers(self, first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]: ...


class Coverage(Protocol):
    """What is filled."""

    async def cover(self, chain_id: int, first: int, anchors: Mapping[Holding, int]) -> None: ...

    async def close(self, chain_id: int, first: int, ends: Mapping[Holding, int]) -> None: ...


class Preparer:
    """Where there is nothing to fill, that is settled here already."""

    def __init__(
        self,
        *,
        node: Node,
        anchorage: Anchorage,
        branches: Branches,
        ledger: Ledger,
        coverage: Coverage,
        watched: Callable[[], Watch],
    ) -> None:
        self._node = node
        self._anchorage = anchorage
        self._branches = branches
        self._ledger = ledger
        self._coverage = coverage
        self._watched = watched

    async def prepare(self, job: Job) -> Job:
        """Without anchors there is nothing to do for it."""
        job = await self._prepared(job)
        # Not before: the highest block may be of a branch that came while it was looked for.
        if job.grounds and not await self._branches.is_canonical(job.grounds[-1].block, job.highest):
            raise BadAnswer(f"block {job.grounds[-1].block.number} is being replaced")
        return job

    async def _prepared(self, job: Job) -> Job:
        ordered, job = job, await self._branches.grounded(job)
        if job.first < ordered.first:
            taken = [taken_back(job, holding, job.first, ordered.first - 1) for holding in job.holdings]
            await self._ledger.commit(taken, await self._node.newest())
        depths, watch = await self._branches.depths(), self._watched()
        found = await self._anchorage.of(job)
        watched = {holding for holding in found if watch.covers(holding) and self._watched().covers(holding)}
        await self._branches.check([record for record in found.values() if record.block.number > depths.settled])
        never = dict.fromkeys((holding for holding in job.holdings if holding not in found), NEVER_READ)
        nothing = {holding: record for holding, record in found.items() if record.block.number <= job.first}
        there = {holding: record.block.number for holding, record in nothing.items() if holding in watched}
        await self._coverage.cover(job.chain_id, job.first, there)
        await self._coverage.close(job.chain_id, job.first, there)
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
        low, base = min(depths.finalized, top), None
        if job.first <= low:
            (base,) = (head,) if low == top else await self._node.headers(low, low, head.ref)
        return replace(
            job,
            top=top,
            cursor=top,
            highest=head.ref,
            settled=depths.finalized,
            base=None if base is None else base.ref,
        )


def _why_nothing(record: BalanceRecord) -> str:
    return f"nobody watches it any more, and there is nothing to fill below its record of block {record.block.number}"
