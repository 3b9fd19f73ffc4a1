"""When to start a failed child again, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Pauses double from `first_seconds` to `longest_seconds`; a child that lived `healthy_seconds` starts afresh."""

    first_seconds: float = 0.1
    longest_seconds: float = 10.0
    healthy_seconds: float = 60.0
    most_restarts: int = 8


@dataclass(frozen=True, slots=True)
class Deaths:
    """How often a child died without having been well in between."""

    in_a_row: int = 0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class RestartAfter:
    """Start the child again after this pause."""

    seconds: float
    deaths: Deaths


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Too many deaths in too short a time."""

    deaths: Deaths


def after_death(policy: RestartPolicy, deaths: Deaths, lived_seconds: float, jitter: float) -> RestartAfter | GiveUp:
    """`jitter` is a random number in [0, 1): pauses spread over the upper half of their length."""
    before = 0 if lived_seconds >= policy.healthy_seconds else deaths.in_a_row
    counted = replace(deaths, in_a_row=before + 1)
    if before >= policy.most_restarts:
        return GiveUp(counted)
    pause = min(policy.longest_seconds, policy.first_seconds * 2.0 ** min(before, 64))
    return RestartAfter(pause * (0.5 + jitter / 2), replace(counted, restarts=deaths.restarts + 1))
