"""The newest word of every stream on itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from indexer.domain.status import StreamStatus


class StatusBoard:
    """Actors write their own line; whoever answers `/status` or beats the heart reads them all."""

    def __init__(self, shown: Callable[[StreamStatus], None] = lambda _status: None) -> None:
        self._lines: dict[str, StreamStatus] = {}
        self._shown = shown

    def show(self, status: StreamStatus) -> None:
        self._lines[status.stream] = status
        self._shown(status)

    def forget(self, stream: str) -> None:
        self._lines.pop(stream, None)

    def streams(self) -> Sequence[StreamStatus]:
        return tuple(self._lines.values())

    def one(self, stream: str) -> StreamStatus | None:
        return self._lines.get(stream)
