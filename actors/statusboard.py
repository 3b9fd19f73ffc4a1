"""The newest word of every stream on itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from indexer.domain.status import StreamState, StreamStatus


class StatusBoard:
    """Actors write their own line; whoever answers `/status` or beats the heart reads them all."""

    def __init__(self) -> None:
        self._lines: dict[str, StreamStatus] = {}
        self._moved = asyncio.Event()

    def show(self, status: StreamStatus) -> None:
        self._lines[status.stream] = status
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def until(self, met: Callable[[], bool]) -> None:
        """Return once `met` holds; it is asked again whenever a stream says something new."""
        while not met():
            await self._moved.wait()

    def forget(self, stream: str) -> None:
        self._lines.pop(stream, None)

    def streams(self) -> Sequence[StreamStatus]:
        return tuple(self._lines.values())

    def one(self, stream: str) -> StreamStatus | None:
        return self._lines.get(stream)


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
