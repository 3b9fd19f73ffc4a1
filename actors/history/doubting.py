"""Asks once more, elsewhere if possible, where balances and the logs that were collected say different things.

Bounded: each doubted span is asked about once in a round, in the pieces that are stored, and a token whose reads really
differ (it rebases, or takes a fee) is not asked about any more once endpoints agreed on its logs often enough.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

import structlog

from actors.history.collecting import Collector, parted
from indexer.domain.balances import Watch, touched
from indexer.domain.chain import BlockRef, Holding
from indexer.domain.history.backfill import Chunk, Moved
from indexer.domain.history.jobs import Job
from indexer.domain.history.mismatches import Span
from indexer.domain.history.walks import Walk
from indexer.domain.seldom import Seldom
from indexer.errors import ResponseTooLarge, StateMissing

log = structlog.get_logger(__name__)

ROUNDS: Final = 3
"""Another one may leave out something as well: as long as more comes, and so often at most."""
AGREED: Final = 8
"""So many spans of a token whose logs another answer has just so."""


Walks = dict[Holding, Walk]
Known = dict[Holding, int]
"""What balances were before the first block."""

Again = Callable[[], Awaitable[tuple[Walks, Known]]]


class Node(Protocol):
    """Answers once more for logs that it told."""

    @property
    def has_others(self) -> bool: ...

    async def left_out(
        self, first: int, last: int, watch: Watch, beside: BlockRef | None, told: Collection[Moved]
    ) -> tuple[Moved, ...]: ...


class Book(Protocol):
    """What was collected."""

    async def put(self, job_id: str, chunk: Chunk) -> None: ...

    def chunks(self, job_id: str, *, newest_first: bool) -> AsyncIterator[Chunk]: ...


class SecondLook:
    """Remembers of the job at hand which tokens endpoints agreed on."""

    def __init__(
        self, *, name: str, node: Node, collector: Collector, book: Book, breathe: Callable[[], Awaitable[None]]
    ) -> None:
        self._log = log.bind(chain=name)
        self._node = node
        self._collector = collector
        self._book = book
        self._breathe = breathe
        self._agreed: Counter[str] = Counter()
        self._job_id = ""
        self._seldom = Seldom()

    @property
    def has_others(self) -> bool:
        """Whether there is anybody else to ask."""
        return self._node.has_others

    def doubted(self, job: Job, walks: Walks, known: Known) -> dict[Holding, Sequence[Span]]:
        """What is worth asking for once more."""
        if job.id != self._job_id:
            self._job_id = job.id
            self._agreed.clear()
        is_thorough = self._node.has_others
        found = {
            holding: walk.doubted(job.first, known.get(holding), is_thorough=is_thorough)
            for holding, walk in walks.items()
            if self._agreed[holding.token] < AGREED
        }
        return {holding: spans for holding, spans in found.items() if spans}

    async def completed(self, job: Job, walks: Walks, known: Known, walk_again: Again) -> tuple[Walks, Known] | None:
        """The walks and what is known below them, with what had been left out; nothing where nothing was."""
        found = 0
        doubts = self.doubted(job, walks, known)
        for _ in range(ROUNDS):
            more = await self.look(job, doubts)
            if not more:
                break
            found += more
            walks, known = await walk_again()
            doubts = self.doubted(job, walks, known)
            if not doubts:
                break
        self.tell_differing(walks, doubts)
        return (walks, known) if found else None

    async def look(self, job: Job, doubts: Mapping[Holding, Sequence[Span]]) -> int:
        """Take in what was left out; so many logs."""
        found, due = 0, _Due(doubts)
        async for chunk in self._book.chunks(job.id, newest_first=True):
            open_ones = [(span, holding) for span, holding in due.at(chunk) if self._agreed[holding.token] < AGREED]
            more = await self._asked(job, chunk, open_ones) if open_ones else []
            self._judge(due.past(chunk, more), more)
            if more:
                await self._take_in(job, chunk, more)
            found += len(more)
            await self._breathe()
        if found:
            self._log.warning("logs_left_out", job=job.id, logs=found, found="history")
        return found

    def tell_differing(self, walks: Mapping[Holding, Walk], doubts: Mapping[Holding, Sequence[Span]]) -> None:
        """Of tokens whose logs explain most of what was read: others always differ."""
        met, differing, lasting = Counter[str](), Counter[str](), dict[str, list[Holding]]()
        for holding, walk in walks.items():
            met[holding.token] += walk.mismatches.met
            differing[holding.token] += walk.mismatches.differing
        for holding in doubts:
            if 2 * differing[holding.token] < met[holding.token]:
                lasting.setdefault(holding.token, []).append(holding)
        for token, holdings in lasting.items():
            if self._seldom.may_say(token, asyncio.get_running_loop().time()):
                first, last = doubts[holdings[0]][0]
                self._log.warning(
                    "history_differs",
                    token=token,
                    balances=len(holdings),
                    solver=holdings[0].solver,
                    above=first - 1,
                    block=last,
                )

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _asked(self, job: Job, chunk: Chunk, due: Iterable[tuple[Span, Holding]]) -> list[Moved]:
        """What this piece lacks. A part that is too large for who is asked now is asked for in halves."""
        spans, holdings = zip(*due, strict=True)
        watch = replace(job, holdings=tuple(set(holdings))).watch
        told = [each for each in chunk.moved if touched((each.transfer,), watch)]
        parts = [Span(max(chunk.first, min(spans).first), min(chunk.last, max(span.last for span in spans)))]
        found: list[Moved] = []
        while parts:
            first, last = parts.pop()
            here = [each for each in told if first <= each.block.number <= last]
            try:
                found += await self._node.left_out(first, last, watch, job.highest, here)
            except StateMissing:
                continue  # nobody has these logs any more: what they were is told as it was heard
            except ResponseTooLarge:
                if first == last:
                    raise
                middle = (first + last) // 2
                parts += [Span(first, middle), Span(middle + 1, last)]
        return found

    def _judge(self, agreed: Iterable[Holding], more: Sequence[Moved]) -> None:
        for each in more:
            self._agreed.pop(each.transfer.token, None)
        self._agreed.update(holding.token for holding in agreed)

    async def _take_in(self, job: Job, chunk: Chunk, more: Sequence[Moved]) -> None:
        """From the top down: what lies above the lowest part is read there, and no more in the piece it came from."""
        reads, _ = await self._collector.reads(job, more)
        moved = sorted((*chunk.moved, *more), key=lambda each: (each.block.number, each.transfer.log_index))
        both = {number: {**chunk.reads.get(number, {}), **reads.get(number, {})} for number in {*chunk.reads, *reads}}
        for first, last, part in reversed(parted(chunk.first, chunk.last, moved)):
            here = {number: values for number, values in both.items() if first <= number <= last}
            await self._book.put(job.id, replace(chunk, first=first, last=last, moved=part, reads=here))


class _Due:
    """Doubted spans, as pieces of history come from the newest down."""

    def __init__(self, doubts: Mapping[Holding, Sequence[Span]]) -> None:
        each = [(span, holding) for holding, spans in doubts.items() for span in spans]
        self._below = sorted(each, key=lambda one: one[0].last)
        self._open: list[tuple[Span, Holding]] = []
        self._mended: set[tuple[Span, Holding]] = set()

    def at(self, chunk: Chunk) -> list[tuple[Span, Holding]]:
        """Those that reach into this piece."""
        while self._below and self._below[-1][0].last >= chunk.first:
            self._open.append(self._below.pop())
        return [one for one in self._open if one[0].first <= chunk.last]

    def past(self, chunk: Chunk, more: Sequence[Moved]) -> list[Holding]:
        """Whose spans end in this piece, without a log that was left out anywhere in them."""
        found: dict[Holding, list[int]] = {}
        for block, log in more:
            for wallet in (log.sender, log.recipient):
                found.setdefault(Holding(log.token, wallet), []).append(block.number)
        self._mended |= {
            one for one in self._open if any(one[0].first <= number <= one[0].last for number in found.get(one[1], ()))
        }
        over = [one for one in self._open if one[0].first >= chunk.first]
        self._open = [one for one in self._open if one[0].first < chunk.first]
        agreed = [holding for span, holding in over if (span, holding) not in self._mended]
        self._mended.difference_update(over)
        return agreed
