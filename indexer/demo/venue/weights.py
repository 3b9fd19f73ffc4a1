"""Request weights: what each caller has used of each budget, as the real venue counts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_BAN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Budget:
    """So much per window of so many seconds; with `refill`, a pool that fills again at so much per second."""

    name: str
    limit: float
    seconds: float = 0.0
    per: Literal["ip", "key"] = "ip"
    refill: float = 0.0
    ban_after: int = 0
    """Refusals in one window after which the caller is shut out for two minutes; 0: never."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request takes from one budget."""

    budget: Budget
    weight: float


@dataclass(frozen=True, slots=True)
class Overdrawn:
    """A budget is spent; the caller may come back after so many seconds."""

    budget: Budget
    retry_after: float
    banned: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """How much one caller has used of one budget, since when, and how often it was refused since."""

    used: float
    since: float
    refusals: int = 0
    banned_until: float = 0.0


class Weights:
    """The books of one venue: by dialect, budget and caller."""

    def __init__(self) -> None:
        self.enforced = True
        """Without it everything is counted and nothing refused."""
        self.refused: Counter[str] = Counter()
        self.exceeded: Counter[str] = Counter()
        self._levels: dict[tuple[str, str, str], Level] = {}
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._most: dict[tuple[str, str], float] = {}

    def charge(self, dialect: str, costs: Sequence[Cost], *, ip: str, key: str, now: float) -> Overdrawn | None:
        """Book a request; when a budget does not allow it, nothing but the refusal is booked."""
        booked = []
        for cost in costs:
            budget = cost.budget
            caller = (dialect, budget.name, key if budget.per == "key" else ip)
            level = _at(self._levels.get(caller, Level(0.0, _window(budget, now))), budget, now)
            if level.banned_until > now or level.used + cost.weight > budget.limit:
                self.exceeded[dialect] += 1
                if self.enforced:
                    self.refused[dialect] += 1
                    return self._refuse(caller, level, budget, now)
            booked.append((caller, budget, Level(level.used + cost.weight, level.since, level.refusals)))
        for caller, budget, level in booked:
            self._levels[caller] = level
            self._budgets[caller[:2]] = budget
            self._most[caller[:2]] = max(self._most.get(caller[:2], 0.0), level.used)
        return None

    def level(self, dialect: str, budget: Budget, caller: str, now: float) -> float:
        """What the caller has used, for the headers that tell it."""
        found = self._levels.get((dialect, budget.name, caller))
        return 0.0 if found is None else _at(found, budget, now).used

    def used(self, dialect: str) -> dict[str, float]:
        """By budget, what its heaviest caller had used at its last request."""
        found: dict[str, float] = {}
        for (own, budget, _), level in self._levels.items():
            if own == dialect:
                found[budget] = max(found.get(budget, 0.0), level.used)
        return found

    def most(self, dialect: str) -> dict[str, tuple[float, float]]:
        """By budget, the most that any caller ever used of it, and the limit."""
        return {
            name: (used, self._budgets[own, name].limit) for (own, name), used in self._most.items() if own == dialect
        }

    def _refuse(self, caller: tuple[str, str, str], level: Level, budget: Budget, now: float) -> Overdrawn:
        refusals = level.refusals + 1
        banned_until = level.banned_until
        if budget.ban_after and refusals >= budget.ban_after and banned_until <= now:
            banned_until = now + _BAN_SECONDS
        self._levels[caller] = Level(level.used, level.since, refusals, banned_until)
        if banned_until > now:
            return Overdrawn(budget, banned_until - now, banned=True)
        wait = level.since + budget.seconds - now if not budget.refill else 1.0 / budget.refill
        return Overdrawn(budget, max(wait, 0.0))


def _window(budget: Budget, now: float) -> float:
    """Windows start where the clock says, as the venues' do, not at the first request."""
    return now if budget.refill else now - now % budget.seconds


def _at(level: Level, budget: Budget, now: float) -> Level:
    """The level as it is by now: the pool has refilled, or another window has begun."""
    if budget.refill:
        drained = max(0.0, level.used - max(0.0, now - level.since) * budget.refill)
        return Level(drained, now, level.refusals if drained else 0, level.banned_until)
    start = _window(budget, now)
    if start == level.since:
        return level
    return Level(0.0, start, level.refusals if level.banned_until > now else 0, level.banned_until)
