"""How fast one endpoint is asked: as fast as we like until it complains, then half as fast, then slowly faster."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

SLOWEST: Final = 1.0
"""Calls a second: below that nothing could be followed."""
_SAME_COMPLAINT_SECONDS: Final = 1.0
"""Many requests may be under way when the first one is refused: all of them are one complaint."""
_GROWTH: Final = 0.5
"""Calls a second that are added each second, or a hundredth of what was too much where that is more."""
_FORGOTTEN_SECONDS: Final = 600.0
_AHEAD_SECONDS: Final = 0.5
"""So much of the budget a head may take before its time; what can wait does."""
_LONGEST_DEBT_SECONDS: Final = 2.0


class Pace:
    """A token bucket of calls whose rate is found out by additive increase and multiplicative decrease."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = math.inf
        self._growth = _GROWTH
        self._tokens = 0.0
        self._at = clock()
        self._recent = 0.0
        """Calls of about the last second."""
        self._slowed_at = -math.inf

    @property
    def calls_per_second(self) -> float:
        """What we allow ourselves; infinite while nobody complained."""
        return self._rate

    @property
    def most_at_once(self) -> int | None:
        """A batch of more calls than a second allows would be refused whole; nothing where there is no limit."""
        return None if math.isinf(self._rate) else max(1, int(self._rate))

    def reserve(self, calls: int, *, urgent: bool) -> float:
        """Take so many calls out of the budget; how many seconds to wait before they may be put."""
        self._pass_time()
        self._recent += calls
        if math.isinf(self._rate):
            return 0.0
        self._tokens = max(self._tokens - calls, -_LONGEST_DEBT_SECONDS * self._rate)
        return max(0.0, -self._tokens / self._rate - (_AHEAD_SECONDS if urgent else 0.0))

    def complained(self) -> bool:
        """Slow down; False when this complaint is part of the last one."""
        self._pass_time()
        if self._at - self._slowed_at < _SAME_COMPLAINT_SECONDS:
            return False
        before = min(self._rate, max(self._recent, SLOWEST))
        self._rate = max(SLOWEST, before / 2)
        self._growth = max(_GROWTH, before / 100)
        self._tokens = min(self._tokens, 0.0)
        self._slowed_at = self._at
        return True

    def went_well(self) -> bool:
        """Whether the endpoint has been content for so long that its limit is forgotten just now."""
        if math.isinf(self._rate):
            return False
        self._pass_time()
        if self._at - self._slowed_at < _FORGOTTEN_SECONDS:
            return False
        return self.forgive()

    def forgive(self) -> bool:
        """No limit from now on; whether there was one."""
        was_limited, self._rate = math.isfinite(self._rate), math.inf
        return was_limited

    def _pass_time(self) -> None:
        now = self._clock()
        passed, self._at = max(0.0, now - self._at), now
        self._recent *= math.exp(-passed)
        if math.isfinite(self._rate):
            self._rate += self._growth * passed
            self._tokens = min(self._rate, self._tokens + self._rate * passed)
