"""When a wallet is read again: soon while nobody tells us anything, seldom while the stream talks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from indexer.domain.accounts.order import SOON_SECONDS

CONFIRM_SECONDS: Final = 1.0
"""After frames, once it is quiet: one read tells whether a frame was lost on the way."""

DECIDE_SECONDS: Final = SOON_SECONDS + 0.05
"""After an answer, until one that says otherwise is believed: so soon a frame that contradicts the first is decided."""

CONFIRMATIONS: Final = 12
"""So many of them may follow each other so soon; then as many as an account without a stream would read anyway."""

SUSPICIOUS_SECONDS: Final = 30.0
"""After any sign that stream or answers were not what they should be, nothing of that is saved."""

ASK_AGAIN_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""While answers contradict each other or are doubted."""

TRY_AGAIN_SECONDS: Final = (0.5, 1.0, 1.5)
"""After questions that failed, until the breaker opens: what the stream told may wait for the answer."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds between two reads of one wallet."""

    fast: float = 5.0
    slow: float = 60.0
    slowest: float = 120.0

    def next_after(self, *, stream_talks: bool, jitter: float) -> float:
        """`jitter` between 0 and 1, so that 200 accounts do not ask in the same second."""
        if stream_talks:
            return self.slow + (self.slowest - self.slow) * jitter
        return self.fast * (0.9 + 0.2 * jitter)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many reads are left that only confirm; one more with each pause that passes."""

    left: float = float(CONFIRMATIONS)
    as_of: float = 0.0

    def at(self, now: float, pause: float) -> Allowance:
        return Allowance(min(CONFIRMATIONS, self.left + (now - self.as_of) / pause), now)

    def less_one(self) -> Allowance:
        return replace(self, left=max(0.0, self.left - 1))

    def wait(self, pause: float) -> float:
        """Until there is one."""
        return max(0.0, (1 - self.left) * pause)


def ask_again(doubts: int) -> float:
    """The pause before the next read when the last `doubts` reads left something open."""
    return ASK_AGAIN_SECONDS[min(max(doubts, 1), len(ASK_AGAIN_SECONDS)) - 1]


def try_again(failures: int) -> float:
    """The pause before the next read when the last `failures` of them failed."""
    return TRY_AGAIN_SECONDS[min(max(failures, 1), len(TRY_AGAIN_SECONDS)) - 1]
