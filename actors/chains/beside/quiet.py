"""Keeps work that can wait out of the way of work that cannot."""

from __future__ import annotations

import asyncio
from collections import deque

LONGEST_SECONDS = 2.0
"""A chain that is busy for longer is catching up: then both take turns."""

LIVELY_HEADS = 3
LIVELY_SECONDS = 10.0
"""With so many heads in so short a time, the next one is never far: most of the time is kept free for it."""

REST = 3.0
"""Seconds of rest for each of work, then."""

LONGEST_REST_SECONDS = 0.2


class Quiet:
    """Live actors say when they are busy; others ask for a moment in which nobody is."""

    def __init__(self) -> None:
        self._busy: set[str] = set()
        self._calm = asyncio.Event()
        self._calm.set()
        self._heads: deque[float] = deque(maxlen=LIVELY_HEADS)
        self._resumed = 0.0

    def heard(self, who: str) -> None:
        """A head is about to be handled."""
        self._heads.append(asyncio.get_running_loop().time())
        self.busy(who)

    def busy(self, who: str) -> None:
        self._busy.add(who)
        self._calm.clear()

    def idle(self, who: str) -> None:
        self._busy.discard(who)
        if not self._busy:
            self._calm.set()

    async def moment(self) -> None:
        """Return when nobody is busy; where heads come often, after a rest much longer than the work before it."""
        clock = asyncio.get_running_loop().time
        rest = min(REST * (clock() - self._resumed), LONGEST_REST_SECONDS) if self._is_lively(clock()) else 0.0
        await asyncio.sleep(rest)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self._calm.wait()
        except TimeoutError:
            pass
        finally:
            self._resumed = clock()

    def _is_lively(self, now: float) -> bool:
        return len(self._heads) == LIVELY_HEADS and now - self._heads[0] < LIVELY_SECONDS
