"""The newest word of every stream on itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from indexer.domain.status import StreamStatus


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
