"""When an account looks around: at what is due next, and otherwise seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from indexer.domain.beat import beat_from

SHORTEST_SECONDS = 0.25
"""How exact everything that waits is: much finer than any venue's limits."""

LONGEST_SECONDS = 30.0
"""Between two looks, for the sake of what nobody thought of. Every 5 s, 200 accounts woke up 40 times a second."""

EXACT_SECONDS = 2.0
"""What is further away may be up to a beat later, and then wakes us together with what others wait for."""

TICK_SECONDS = 0.001
"""uvloop counts milliseconds and rounds: nearly half of all looks came just before what they were for."""


class Lookout:
    """One timer. When it rings and what it was set for was put off meanwhile, it is set again, and nobody looks."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._rings = 0.0
        """When it is set for. uvloop's handle cannot say for what is less than half a millisecond away."""
        self._looked = self._loop.time()
        self._wanted = self._looked + LONGEST_SECONDS

    def by(self, moment: float) -> None:
        """What is due next, by now: at that moment, though not at once, and if it is far or none, in a while."""
        now = self._loop.time()
        when = min(max(moment, now + SHORTEST_SECONDS), max(self._looked + LONGEST_SECONDS, now + SHORTEST_SECONDS))
        if when - now > EXACT_SECONDS:
            when = beat_from(when)
        # What is nearly due is not put off by those who ask for it again.
        self._wanted = when if when > now + SHORTEST_SECONDS else min(when, self._wanted)
        if self._timer is None:
            self._set()
        elif self._wanted + TICK_SECONDS < self._rings:
            self._timer.cancel()
            self._set()

    def _set(self) -> None:
        self._rings = self._wanted + TICK_SECONDS
        self._timer = self._loop.call_at(self._rings, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        if now < self._wanted:
            self._set()
            return
        self._looked, self._wanted = now, now + LONGEST_SECONDS
        self._look()
