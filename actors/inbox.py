"""What waits for an actor: put from any thread, awaited on the loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any, TypeVar

T = TypeVar("T")


class Inbox:
    """Never waits to put, never blocks to get: the actor's loop awaits `filled` first."""

    def __init__(self) -> None:
        self._envelopes: deque[Any] = deque()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._waiter: asyncio.Future[None] | None = None
        self.reader: asyncio.Task[None] | None = None

    def put(self, envelope: Any, /) -> None:
        self._envelopes.append(envelope)
        if threading.get_ident() == self._thread:
            self._wake()
        else:
            self._loop.call_soon_threadsafe(self._wake)

    def get(self) -> Any:
        return self._envelopes.popleft()

    def take(self, kind: type[T]) -> list[T]:
        """Out of turn: what was told of this kind, in order; who asked keeps waiting for an answer."""
        taken: list[T] = []
        left: list[Any] = []
        for envelope in [self._envelopes.popleft() for _ in range(len(self._envelopes))]:
            message = envelope.message
            if envelope.reply_to is None and isinstance(message, kind):
                taken.append(message)
            else:
                left.append(envelope)
        self._envelopes.extendleft(reversed(left))  # before whatever another thread put meanwhile
        return taken

    def empty(self) -> bool:
        return not self._envelopes

    def __len__(self) -> int:
        return len(self._envelopes)

    async def filled(self) -> None:
        while not self._envelopes:
            self._waiter = self._loop.create_future()
            await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
