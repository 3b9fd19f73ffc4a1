"""The newest word of every stream on itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from actors.clock import now
from indexer.domain.health.since import Since
from indexer.domain.health.status import StreamState, StreamStatus
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import is_history

_LOST: Final = ("stale", "suspended", "stopped")


class StatusBoard:
    """Actors write their own line; whoever answers `/status` or beats the heart reads them all.

    A line says by its `seq` as of which event it was written. What was told since is laid over it when it is read, so
    that nobody reads less than a client was told, and nobody who tells has to write a line first.
    """

    def __init__(self, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock
        self._lines: dict[str, StreamStatus] = {}
        self._lost_since: dict[str, datetime] = {}
        """Since when a stream says that it is not followed: it must not look up to date."""
        self._told: dict[str, Since] = {}
        self._moved = asyncio.Event()

    def show(self, status: StreamStatus) -> None:
        self._lines[status.stream] = status
        if status.state in _LOST and not is_history(status.stream):
            self._lost_since.setdefault(status.stream, self._clock())
        else:
            self._lost_since.pop(status.stream, None)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def tell(self, commit: Commit) -> None:
        """It has just been told."""
        line, told = self._lines.get(commit.stream), self._told.get(commit.stream, Since())
        is_known = line is not None and line.seq >= told.seq
        self._told[commit.stream] = (Since() if is_known else told).and_told(commit)

    async def until(self, met: Callable[[], bool]) -> None:
        """Return once `met` holds; it is asked again whenever a stream says something new."""
        while not met():
            await self._moved.wait()

    def forget(self, stream: str) -> None:
        self._lines.pop(stream, None)
        self._told.pop(stream, None)
        self._lost_since.pop(stream, None)

    def streams(self) -> Sequence[StreamStatus]:
        return tuple(self._brought(line) for line in self._lines.values())

    def one(self, stream: str) -> StreamStatus | None:
        line = self._lines.get(stream)
        return None if line is None else self._brought(line)

    def _brought(self, line: StreamStatus) -> StreamStatus:
        told, lost = self._told.get(line.stream), self._lost_since.get(line.stream)
        if told is not None and told.seq > line.seq:
            line = told.brought(line)
        if lost is None:
            return line
        return replace(line, behind_since=lost if line.behind_since is None else min(lost, line.behind_since))


class Line:
    """The line of a stream that follows no heads: its number, its state and its trouble are all there is to say."""

    def __init__(
        self,
        *,
        stream: str,
        name: str,
        seq: Callable[[], int],
        waiting: Callable[[], int],
        show: Callable[[StreamStatus], None],
        restarts: int = 0,
    ) -> None:
        self._seq = seq
        self._waiting = waiting
        self._show = show
        self._said = StreamStatus(stream, name, restarts=restarts)

    def say(self, state: StreamState, trouble: str | None = None) -> None:
        self._said = replace(self._said, state=state, ready=state == "live", last_error=trouble)
        self.again()

    def again(self) -> None:
        """The same, where only the numbers moved."""
        self._said = replace(self._said, seq=self._seq(), queue_depth=self._waiting())
        self._show(self._said)
