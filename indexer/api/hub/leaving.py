"""Sockets of clients that were let go: open until what is in them is sent, and no longer than that should take."""

from __future__ import annotations

import asyncio


class Leaving:
    """A client that does not read would keep its socket, and what is in it, for ever."""

    def __init__(self) -> None:
        self._timers: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    @property
    def has_unsent(self) -> bool:
        return any(one.get_write_buffer_size() for one in self._timers)

    def cut(self, transport: asyncio.Transport, *, after: float) -> None:
        """So many seconds from now, whatever was said of it before."""

        def cut() -> None:
            del self._timers[transport]
            transport.abort()

        if transport in self._timers:
            self._timers[transport].cancel()
        self._timers[transport] = asyncio.get_running_loop().call_later(after, cut)

    def cut_all(self) -> None:
        for transport, timer in self._timers.items():
            timer.cancel()
            transport.abort()
        self._timers.clear()
