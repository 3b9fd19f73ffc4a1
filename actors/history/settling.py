"""Settles a job: looks at its newest block again while a reorg may still reach it, and takes back what is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from actors.chains.books.ledger import Ledger
from actors.history.branches import Branches
from actors.history.collecting import Node
from indexer.domain.chain import BlockRef, Head, Holding, TokenInfo
from indexer.domain.history.jobs import Job
from indexer.domain.history.stories import Depths
from indexer.domain.telling.facts import HistoryFilled
from indexer.errors import BlockUnknown

log = structlog.get_logger(__name__)


class Settler:
    """Looks once; to keep the job, and to order what has to be redone, is up to who asks."""

    def __init__(
        self,
        *,
        name: str,
        stream: str,
        node: Node,
        branches: Branches,
        ledger: Ledger,
        projected: Callable[[str, int], Awaitable[None]],
    ) -> None:
        self._name = name
        self._stream = stream
        self._node = node
        self._branches = branches
        self._ledger = ledger
        self._projected = projected
        self._seen: dict[int, Head] = {}
        """The canonical blocks at the top of jobs, as of the newest one: none of them changes before that does."""
        self._newest: BlockRef | None = None

    async def depths(self) -> Depths:
        """How deep a reorg may reach just now."""
        return await self._branches.depths()

    async def settle(self, job: Job, depths: Depths) -> tuple[Job, Job | None]:
        """The job when nothing can happen to it any more; with a second one, the part of it that has to be redone."""
        assert job.highest is not None  # noqa: S101 - what settles has a highest block
        try:
            head = await self._head_at(job.highest.number, depths)
        except BlockUnknown:
            return job, None
        if head.hash == job.highest.hash and job.is_told:
            return (job if job.highest.number > depths.settled else replace(job, state="done")), None
        again = await self._again(job, head.ref)
        first = again.first
        if job.last is not None and job.last < first:
            return replace(job, state="done"), None
        ends = {holding: job.end_of(holding) for holding in job.holdings}
        facts = [taken_back(job, holding, first, last) for holding, last in ends.items() if last >= first]
        if facts and (job.told is not None or first < job.first):
            await self._ledger.commit(facts, head)
            await self._projected(self._stream, self._ledger.seq)
        else:  # whatever is there was told by others
            again = replace(again, anchors={})
        log.info("history_taken_back", chain=self._name, job=job.id, first=first)
        return replace(job, state="done"), again

    async def _head_at(self, number: int, depths: Depths) -> Head:
        """There may be hundreds of jobs, looked at every two seconds for an hour."""
        if depths.newest is None or depths.newest != self._newest:
            self._seen, self._newest = {}, depths.newest
        if number not in self._seen:
            (self._seen[number],) = await self._node.headers(number, number, depths.by)
        return self._seen[number]

    async def _again(self, job: Job, beside: BlockRef) -> Job:
        """What of it a reorg took, from the lowest block that it may have reached."""
        stage = await self._branches.kept(job, beside) if job.is_told else None
        if stage is not None:
            return job.again_from(max(job.first, stage.block.number + 1), stage)
        first = max(job.first, job.settled + 1) if await self._branches.stands(job, beside) else job.first
        if first > job.first and any(anchor.number == first for anchor in job.anchors.values()):
            first -= 1  # that record is replaced: what is in its place has to be joined to the one below
        # What those had filled in whose place it came may be of the branch that is gone as well.
        return job.again_from(first) if first > job.first else await self._branches.grounded(job)


def taken_back(job: Job, holding: Holding, first: int, last: int) -> HistoryFilled:
    return HistoryFilled(
        chain_id=job.chain_id,
        holding=holding,
        first=first,
        last=last,
        rows=(),
        info=TokenInfo(),
        job=job.id,
        reason="a reorg took it back; it is filled again",
        void=True,
    )
