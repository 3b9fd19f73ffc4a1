"""Commits into the collections that queries read: repeatable, conflated, in the background."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import structlog

from actors.base import AsyncActor, Report
from actors.messages import Begin, Committed, Project
from actors.patience import patiently
from actors.positions import Positions
from actors.reading_on import read_on
from indexer.domain.recording.records import Projection, fold
from indexer.domain.telling.commits import Commit
from indexer.errors import StoreUnavailable

log = structlog.get_logger(__name__)

BATCH_FACTS = 5_000
"""Facts written at once: large enough for 500-row inserts to run at full speed, small enough to keep memory flat."""

MOST_PENDING_FACTS = 50_000
"""Past this the pending commits are dropped from memory and read from the log again, which has them anyway."""

PAGE = 200
SAVE_SECONDS = 1.0
"""How often the position is stored; projecting a second's worth of commits twice is harmless."""


class Log(Protocol):
    """The log that everything is projected from."""

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]: ...

    async def positions(self) -> dict[str, int]: ...


class Books(Protocol):
    """The collections that queries read."""

    async def project(self, projection: Projection) -> None: ...


class Checkpoints(Protocol):
    """Where the position survives a restart."""

    async def set_projected(self, stream: str, seq: int) -> None: ...


class Projector(AsyncActor):
    """One for all streams; what it did not get to before a crash it reads from the log at the next start."""

    def __init__(
        self,
        *,
        ledger: Log,
        books: Books,
        checkpoints: Checkpoints,
        positions: Positions,
        report: Report | None = None,
        written: Callable[[float], None] = lambda _seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(report=report)
        self._ledger = ledger
        self._books = books
        self._checkpoints = checkpoints
        self._positions = positions
        self._written = written
        self._clock = clock
        self._pending: deque[Commit] = deque()
        self._pending_facts = 0
        self._behind: dict[str, None] = {}
        """Streams to read from the log, each in its turn: a busy one does not keep the others waiting."""
        self._written_to: dict[str, int] = {}
        """The last number of each stream that is known to stay."""
        self._saved_at = clock()
        self._unsaved: dict[str, int] = {}
        self._asked = False

    async def receive(self, message: Any) -> None:
        match message:
            case Begin():
                ends = await patiently("projector", self._ledger.positions)
                self._written_to = {**ends, **self._written_to}
                self._behind |= dict.fromkeys(sorted(ends))
                while self._behind:
                    await self._read_on()
                await self._save()
            case Committed(commit):
                self._take(commit)
            case Project():
                self._asked = False
                await self._step()

    async def closing(self) -> None:
        await self._save()

    def _take(self, commit: Commit) -> None:
        """Keep it for the next batch: one more message behind all that are in the inbox now."""
        self._written_to[commit.stream] = max(commit.last_seq, self._written_to.get(commit.stream, 0))
        if self._pending_facts < MOST_PENDING_FACTS:
            self._pending.append(commit)
            self._pending_facts += commit.size
        else:
            self._behind[commit.stream] = None
        self._go_on()

    def _go_on(self) -> None:
        if not self._asked:
            self._asked = True
            self.actor_ref.tell(Project())

    async def _step(self) -> None:
        """One batch and one page at most: what comes meanwhile is taken (or dropped) in between, never piled up."""
        if self._pending:
            await self._project(self._in_order(self._next_batch()))
        if self._behind:
            await self._read_on()
        if self._pending or self._behind:
            self._go_on()
        if self._clock() - self._saved_at >= SAVE_SECONDS:
            await self._save()

    def _next_batch(self) -> list[Commit]:
        batch, facts = [], 0
        while self._pending and facts < BATCH_FACTS:
            commit = self._pending.popleft()
            facts += commit.size
            batch.append(commit)
        self._pending_facts -= facts
        return batch

    def _in_order(self, batch: list[Commit]) -> list[Commit]:
        """What continues its stream; a stream with a hole is read from the log instead."""
        reached = dict(self._positions.projected())
        kept = []
        for commit in batch:
            position = reached.get(commit.stream, 0)
            if commit.first_seq > position + 1:
                self._behind[commit.stream] = None
            elif commit.last_seq > position:
                kept.append(commit)
                reached[commit.stream] = commit.last_seq
        return kept

    async def _read_on(self) -> None:
        """One page of the stream whose turn it is."""
        stream = next(iter(self._behind))
        position, last = self._positions.projected().get(stream, 0), self._written_to.get(stream, 0)
        page = await read_on(self._ledger, "projector", stream, position, last, PAGE) if position < last else []
        del self._behind[stream]
        for batch in _batches(page):
            await self._project(batch)
        if page:
            self._behind[stream] = None

    async def _project(self, batch: list[Commit]) -> None:
        if not batch:
            return
        started = self._clock()
        await patiently("projector", partial(self._books.project, fold(batch)))
        self._written(self._clock() - started)
        reached = {commit.stream: commit.last_seq for commit in batch}
        self._positions.project(reached)
        self._unsaved.update(reached)

    async def _save(self) -> None:
        unsaved, self._unsaved = self._unsaved, {}
        self._saved_at = self._clock()
        try:
            await self._store(unsaved)
        except StoreUnavailable:
            self._unsaved = {**unsaved, **self._unsaved}

    async def _store(self, positions: Mapping[str, int]) -> None:
        for stream, seq in positions.items():
            await self._checkpoints.set_projected(stream, seq)


def _batches(page: list[Commit]) -> Iterator[list[Commit]]:
    """A page in parts of about `BATCH_FACTS`: commits of history are large."""
    batch: list[Commit] = []
    for commit in page:
        batch.append(commit)
        if sum(each.size for each in batch) >= BATCH_FACTS:
            yield batch
            batch = []
    yield batch
