"""TCP without sockets: two asyncio transports, what is between them, and how that breaks."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from typing import Any, Final

LATENCY_SECONDS: Final = 0.001
MOST_AT_ONCE: Final = 64 * 1024
HIGH_WATER: Final = 64 * 1024


class Wire:
    """One connection. `silent`: nothing arrives any more and nobody is told; `abort` ends that."""

    def __init__(self) -> None:
        self.silent = False
        self.ends: tuple[End, End]

    def connect(
        self, client: asyncio.Protocol, client_context: Context, server: asyncio.Protocol, server_context: Context
    ) -> None:
        near, far = End(self, client, client_context), End(self, server, server_context)
        near.peer, far.peer = far, near
        self.ends = (near, far)
        client_context.copy().run(client.connection_made, near)
        server_context.copy().run(server.connection_made, far)

    @property
    def is_open(self) -> bool:
        return not self.ends[0].is_closing()

    def abort(self) -> None:
        for end in self.ends:
            end.lose(ConnectionResetError("the connection broke"))


class End(asyncio.Transport):
    """One side's transport: whole writes in order, after a moment, as long as the other side reads."""

    def __init__(self, wire: Wire, protocol: asyncio.BaseProtocol, context: Context) -> None:
        super().__init__()
        self.peer: End
        self._wire = wire
        self._protocol = protocol
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._high = HIGH_WATER
        self._full = self._closing = self._lost = self._flushing = False
        self.reading = True

    # --- the transport -----------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self._lost or not data:
            return
        self._waiting.append(bytes(data))
        self._size += len(data)
        if self._size > self._high and not self._full:
            self._full = True
            self._protocol.pause_writing()
        self.flush_soon()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if self._wire.silent:
                self.lose(None)  # what was written is the kernel's, and waits there for ever
            self.flush_soon()

    def abort(self) -> None:
        self.lose(None)
        self.peer.lose(ConnectionResetError("the other side is gone"), unless_silent=True)

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._high // 4, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002 - asyncio's
        self._high = HIGH_WATER if high is None else high

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        self.peer.flush_soon()

    def is_reading(self) -> bool:
        return self.reading

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    # --- the wire ----------------------------------------------------------------------------------------------------

    def flush_soon(self) -> None:
        if not self._flushing and not self._lost:
            self._flushing = True
            self._loop.call_later(LATENCY_SECONDS, self._flush)

    def lose(self, error: Exception | None, *, unless_silent: bool = False) -> None:
        if self._lost or (unless_silent and self._wire.silent):
            return
        self._lost = True
        self._waiting.clear()
        self._size = 0
        self._loop.call_soon(self._protocol.connection_lost, error, context=self._context)

    def _flush(self) -> None:
        self._flushing = False
        if self._lost or self._wire.silent or not self.peer.reading:
            return
        size, parts = 0, []
        while self._waiting and size < MOST_AT_ONCE:
            parts.append(self._waiting.popleft())
            size += len(parts[-1])
        self._size -= size
        if parts:
            self.peer.take(b"".join(parts))
        if self._full and self._size <= self._high // 4:
            self._full = False
            self._context.copy().run(self._protocol.resume_writing)
        if self._waiting:
            self.flush_soon()
        elif self._closing:
            self.lose(None)
            self.peer.lose(None)

    def take(self, data: bytes) -> None:
        if not self._lost and isinstance(self._protocol, asyncio.Protocol):
            self._context.copy().run(self._protocol.data_received, data)
