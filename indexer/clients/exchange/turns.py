"""Who goes next where many wait for the same limit: first those for whose answer somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

HEAD_START_SECONDS: Final = 30.0
"""So much later somebody who presses may come and still goes first: nobody is overtaken for longer."""


def _never() -> bool:
    return False


_PRESSES: Final[ContextVar[Callable[[], bool]]] = ContextVar("presses", default=_never)


@contextmanager
def pressing(presses: Callable[[], bool]) -> Iterator[None]:
    """What this task asks meanwhile presses whenever this says so: it may come to while it waits."""
    token = _PRESSES.set(presses)
    try:
        yield
    finally:
        _PRESSES.reset(token)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    since: float
    presses: Callable[[], bool]
    called: asyncio.Future[None]

    def rank(self) -> float:
        return self.since - HEAD_START_SECONDS if self.presses() else self.since


class Turns:
    """One at a time. As many wait as there are tasks that ask: one for each wallet."""

    def __init__(self) -> None:
        self._is_taken = False
        self._queue: list[_Waiting] = []

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        await self._called()
        try:
            yield
        finally:
            self._call_next()

    async def _called(self) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        loop = asyncio.get_running_loop()
        one = _Waiting(loop.time(), _PRESSES.get(), loop.create_future())
        self._queue.append(one)
        try:
            await one.called
        except asyncio.CancelledError:
            if one in self._queue:
                self._queue.remove(one)
            else:  # it was called in the same moment
                self._call_next()
            raise

    def _call_next(self) -> None:
        waiting = [one for one in self._queue if not one.called.done()]
        self._is_taken = bool(waiting)
        if waiting:
            one = min(waiting, key=_Waiting.rank)
            self._queue.remove(one)
            one.called.set_result(None)
