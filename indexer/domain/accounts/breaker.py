"""When a venue is left alone: a circuit breaker as a value, with exactly one probe when half open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

FAILURES: Final = 5
"""So many in a row open it; one slow answer among good ones is no reason."""

FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 300.0
SHARE: Final = 0.1
"""A pause is so much of the time that the venue has been ill: after a minute of that it is found well in seconds."""

BreakerState = Literal["closed", "open", "half_open", "suspended"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """`closed` lets everything through, `open` nothing until `until`, `half_open` waits for its one probe.

    `suspended`: the credentials are refused. Time does not help, only other credentials or a person's word.
    """

    state: BreakerState = "closed"
    failures: int = 0
    pauses: int = 0
    since: float = 0.0
    """When the first of them was."""
    until: float = 0.0
    reason: str | None = None

    def allows(self, now: float) -> bool:
        return self.state == "closed" or (self.state == "open" and now >= self.until)

    def asked(self, now: float) -> Breaker:
        """A call goes out; the first one after the pause is the probe, and nothing else goes beside it."""
        if self.state == "open" and now >= self.until:
            return replace(self, state="half_open")
        return self

    def succeeded(self) -> Breaker:
        return Breaker() if self.state != "suspended" else self

    def failed(self, now: float, reason: str, jitter: float = 1.0) -> Breaker:
        """`jitter` between 0 and 1 spreads the probes of many accounts over half the pause."""
        if self.state == "suspended":
            return self
        failures, since = self.failures + 1, self.since if self.failures else now
        if self.state == "closed" and failures < FAILURES:
            return replace(self, failures=failures, since=since, reason=reason)
        pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, (now - since) * SHARE)) * (0.5 + jitter / 2)
        return Breaker("open", failures, self.pauses + 1, since, now + pause, reason)

    def throttled(self, now: float, seconds: float, reason: str) -> Breaker:
        """The venue names the pause itself: it is kept to, and is no failure."""
        if self.state == "suspended":
            return self
        return replace(self, state="open", until=max(self.until, now + seconds), reason=reason)

    def refused(self, reason: str) -> Breaker:
        """The credentials are wrong, expired, or may not do this: asking again gets the address banned."""
        return Breaker("suspended", reason=reason)
