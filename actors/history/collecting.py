"""Collects what history is made of, from the newest block down: transfers, and balances where there is state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from indexer.domain.balances import Watch
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding, KnownBlock
from indexer.domain.following.finality import Tags
from indexer.domain.following.views import Readings
from indexer.domain.history.backfill import Chunk, Moved, Native, Stride
from indexer.domain.history.jobs import Job
from indexer.errors import BadAnswer, BlockUnknown, NodeUnreachable, ResponseTooLarge, StateMissing, Unheard

READ_BLOCKS = 32
"""Blocks whose balances are read in one request."""

NATIVE_BLOCKS = 64

CHUNK_LOGS = 500
"""Logs in one stored piece: a few milliseconds of work whenever it is looked at."""


class Node(Protocol):
    """Answers questions about blocks that were before us."""

    async def newest(self) -> Head: ...

    async def headers(self, first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]: ...

    async def moved(self, first: int, last: int, watch: Watch, beside: BlockRef | None = None) -> tuple[Moved, ...]: ...

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]: ...

    async def tags(self, beside: Head | None = None) -> Tags: ...


class _Gone(NamedTuple):
    """Of this job the highest block that is known to be without logs, and in which words."""

    job_id: str
    number: int
    reason: str


_NOTHING_GONE: Final = _Gone("", -1, "")


class _Ahead(NamedTuple):
    """The logs that are asked for while what was found above them is looked at and stored."""

    question: tuple[str, int, int, BlockRef | None]
    answer: asyncio.Task[tuple[tuple[Moved, ...], float]]


class Collector:
    """Remembers across steps how many blocks pass at once.

    Whoever answers has to have the job's highest block: a node that stands still far below has no other sign of the
    fork on which it does.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stride = Stride()
        self._ahead: _Ahead | None = None
        self._gone = _NOTHING_GONE
        self._clock = asyncio.get_running_loop().time

    async def drop(self) -> None:
        """Nobody wants what was asked for ahead any more."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return
        ahead.answer.cancel()
        await asyncio.wait((ahead.answer,))
        if not ahead.answer.cancelled():
            ahead.answer.exception()  # looked at, so that nobody is told that it was not

    async def step(self, job: Job, narrowed: Callable[[str], None]) -> list[Chunk]:
        """The next blocks below `job.cursor`, oldest first; nothing where a native has no state any more.

        `StateMissing` says that nobody has logs of the cursor's block, nor of any below.
        Before fewer blocks are asked for, `narrowed` hears why.
        """
        return await self._natives(job) if job.is_native else await self._tokens(job, narrowed)

    async def has_logs(self, job: Job) -> bool:
        """Whether anybody has those of the cursor's block by now, where nobody had."""
        self._gone = _NOTHING_GONE
        try:
            await self._asked(job, job.cursor, job.cursor)
        except StateMissing as error:
            _wait_for_unasked(error)
            return False
        return True

    async def known_before(
        self, job: Job, holdings: Collection[Holding], number: int, beside: BlockRef | None
    ) -> Mapping[Holding, int]:
        """What these balances were at that block, as far as a node can tell that has the block `beside` as well."""
        if number < 0 or not holdings or (job.unread is not None and number <= job.unread):
            return {}
        (head,) = await self._node.headers(number, number, beside)
        readings = await self._read(head.number, {head: holdings})
        return {} if readings is None else readings.get(head.hash, Readings()).values

    async def reads(self, job: Job, moved: Sequence[Moved]) -> tuple[dict[int, Mapping[Holding, int]], int | None]:
        """Balances at every changed block, from the newest down until the node has no state."""
        unread = job.unread
        holdings, wanted = frozenset(job.holdings), dict[int, tuple[BlockRef, set[Holding]]]()
        for block, transfer in moved:
            if unread is not None and block.number <= unread:
                continue
            ours = {Holding(transfer.token, wallet) for wallet in (transfer.sender, transfer.recipient)} & holdings
            wanted.setdefault(block.number, (block, set()))[1].update(ours)
        numbers = sorted(wanted, reverse=True)
        found: dict[int, Mapping[Holding, int]] = {}
        at, size = 0, READ_BLOCKS
        while at < len(numbers):
            part = numbers[at : at + size]
            readings = await self._read(part[-1], {wanted[number][0]: wanted[number][1] for number in part})
            if readings is not None:
                found.update((number, readings[wanted[number][0].hash].values) for number in part)
                at, size = at + len(part), READ_BLOCKS
            elif len(part) == 1:
                unread = part[0]
                break
            else:
                size = len(part) // 2
        return found, unread

    # --- tokens ------------------------------------------------------------------------------------------------------

    async def _tokens(self, job: Job, narrowed: Callable[[str], None]) -> list[Chunk]:
        last = job.cursor
        while True:
            first = self._first(job, last)
            if first > last:
                raise StateMissing(self._gone.reason)
            try:
                moved, seconds = await self._moved(job, first, last)
            except StateMissing as error:
                _wait_for_unasked(error)
                self._gone = _Gone(job.id, first, str(error))
            except ResponseTooLarge as error:
                if first == last:
                    raise
                narrowed(f"{last - first + 1} blocks are too many for one question: {error}")
                self._stride = self._stride.narrower(last - first + 1)
            else:
                break
        self._stride = self._stride.wider(len(moved), seconds)
        if first > job.first:
            await self._ask_ahead(job, first - 1)
        reads, unread = await self.reads(job, moved)
        return [
            Chunk(
                part_first,
                part_last,
                part,
                {number: reads[number] for number in {each.block.number for each in part} if number in reads},
                unread=unread,
            )
            for part_first, part_last, part in parted(first, last, moved)
        ]

    def _first(self, job: Job, last: int) -> int:
        """Where the range up to `last` begins; above it where it is known that nobody has logs of `last` any more.

        Logs are gone from the oldest up: the lowest of a range that is refused has none, and what is above that is
        halved until the lowest that has some is found.
        """
        first = max(job.first, last - self._stride.blocks + 1)
        gone = self._gone
        return first if gone.job_id != job.id else max(first, (gone.number + last) // 2 + 1)

    async def _ask_ahead(self, job: Job, last: int) -> None:
        first = self._first(job, last)
        if first > last:
            return
        answer = asyncio.create_task(self._asked(job, first, last))
        self._ahead = _Ahead((job.id, first, last, job.highest), answer)
        await asyncio.sleep(0)  # it is on its way before we are busy with this one

    async def _moved(self, job: Job, first: int, last: int) -> tuple[tuple[Moved, ...], float]:
        """As it was asked for ahead, if it was."""
        ahead = self._ahead
        if ahead is not None and ahead.question == (job.id, first, last, job.highest):
            self._ahead = None
            return await ahead.answer
        await self.drop()
        return await self._asked(job, first, last)

    async def _asked(self, job: Job, first: int, last: int) -> tuple[tuple[Moved, ...], float]:
        """And how long it took."""
        started = self._clock()
        moved = await self._node.moved(first, last, job.watch, job.highest)
        return moved, self._clock() - started

    async def _read(
        self, lowest: int, wanted: Mapping[KnownBlock, Collection[Holding]]
    ) -> Mapping[BlockHash, Readings] | None:
        """Nothing where state is missing; some nodes then say that they do not know the block, which they do."""
        try:
            return await self._node.read(wanted)
        except StateMissing as error:
            _wait_for_unasked(error)
            return None
        except Unheard:
            raise  # nobody said that the state is gone
        except BlockUnknown:
            (head,) = await self._node.headers(lowest, lowest)
            if all(head.hash != block.hash for block in wanted):
                raise
            return None

    # --- natives -----------------------------------------------------------------------------------------------------

    async def _natives(self, job: Job) -> list[Chunk]:
        """Read at every block: nothing tells beforehand where a native balance changed."""
        last = job.cursor
        first = max(job.first, last - NATIVE_BLOCKS + 1)
        heads = await self._node.headers(first, last, job.highest)
        if len(heads) != last - first + 1:
            raise BadAnswer(f"there are no blocks {first} to {last}")
        if job.highest is not None and last == job.highest.number and heads[-1].hash != job.highest.hash:
            raise BadAnswer(f"block {last} is being replaced")
        size = len(heads)
        while True:
            part = heads[-size:]
            readings = await self._read(part[0].number, dict.fromkeys(part, job.holdings))
            if readings is not None:
                break
            if size == 1:
                return [Chunk(job.first, last, unread=last)]
            size //= 2
        natives: list[Native] = []
        held: dict[Holding, int] = {}
        for head in part:
            for holding, value in readings[head.hash].values.items():
                if held.get(holding) != value:
                    natives.append(Native(head.ref, holding, value))
                held[holding] = value
        return [Chunk(part[0].number, last, natives=tuple(natives))]


def _wait_for_unasked(error: StateMissing) -> None:
    """History has the time."""
    if error.unasked:
        unasked = ", ".join(error.unasked)
        raise NodeUnreachable(f"{error}; {unasked} cannot be asked, and may have it") from error


def parted(first: int, last: int, moved: Sequence[Moved]) -> list[tuple[int, int, tuple[Moved, ...]]]:
    """Whole blocks, in parts of about `CHUNK_LOGS`, that cover everything from `first` to `last`."""
    parts: list[tuple[int, int, tuple[Moved, ...]]] = []
    start = 0
    for index in range(1, len(moved)):
        if index - start >= CHUNK_LOGS and moved[index].block.number != moved[index - 1].block.number:
            parts.append((first, moved[index - 1].block.number, tuple(moved[start:index])))
            first, start = moved[index - 1].block.number + 1, index
    return [*parts, (first, last, tuple(moved[start:]))]
