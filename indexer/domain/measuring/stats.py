"""Statistics over a balance's records, in exact integers, one record at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Generic, TypeVar

from indexer.domain.measuring.course import Course, Curve, percent

Records = TypeVar("Records")


@dataclass(frozen=True, slots=True)
class Statistics(Generic[Records]):
    """Over a time: of its records, and of what held in it, where that is known though no record is in it."""

    records: Records | None
    course: Course | None


@dataclass(frozen=True, slots=True)
class Stats:
    """Raw amounts; `average` is the mean of the records, rounded towards zero."""

    count: int
    first: int
    last: int
    minimum: int
    maximum: int
    average: int

    @property
    def change(self) -> int:
        return self.last - self.first

    @property
    def change_percent(self) -> Decimal | None:
        return percent(Fraction(self.change), Fraction(self.first))


@dataclass(slots=True)
class Tally:
    """Takes balances oldest first and keeps nothing but the sums."""

    count: int = 0
    first: int = 0
    last: int = 0
    minimum: int = 0
    maximum: int = 0
    total: int = 0
    curve: Curve = field(default_factory=Curve)

    def add(self, time: datetime, balance: int) -> None:
        self.curve.add(time, balance)
        if self.count == 0:
            self.first = self.minimum = self.maximum = balance
        self.minimum = min(self.minimum, balance)
        self.maximum = max(self.maximum, balance)
        self.last = balance
        self.total += balance
        self.count += 1

    def statistics(self, until: datetime | None = None) -> Statistics[Stats]:
        """The last balance goes on to hold `until` then. Nothing where nothing was counted: absent is not zero."""
        records = None
        if self.count:
            average = self.total // self.count
            records = Stats(self.count, self.first, self.last, self.minimum, self.maximum, average)
        return Statistics(records, self.curve.course(until))
