"""When an account looks around: at what is due next, and otherwise seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SHORTEST_SECONDS = 0.25
"""How exact everything that waits is: much finer than any venue's limits."""

LONGEST_SECONDS = 5.0
"""With 200 accounts a look every 0.25 s took 4 % of a core while nothing happened."""


class Lookout:
    """One timer, which is only ever brought forward."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def by(self, moment: float) -> None:
        """Look then at the latest, though not at once; without a moment that is near, in a while."""
        now = self._loop.time()
        when = min(max(moment, now + SHORTEST_SECONDS), now + LONGEST_SECONDS)
        if self._timer is None:
            self._timer = self._loop.call_at(when, self._due)
        elif when < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(when, self._due)

    def _due(self) -> None:
        self._timer = None
        self._look()
