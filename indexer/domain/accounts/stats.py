"""Statistics and series over what an account held, one balance at a time, oldest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final, Literal

from indexer.domain.accounts.amounts import less, plus
from indexer.domain.measuring.course import Curve, percent
from indexer.domain.measuring.stats import Statistics

_AVERAGE: Final = Context(prec=60)
"""A mean has no last digit; 60 are more than any venue writes."""

Granularity = Literal["minute", "hour", "day"]
SECONDS: Final[dict[Granularity, int]] = {"minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class AssetStats:
    """Over the records of one slot; the average is the mean of the records."""

    count: int
    first: Decimal
    last: Decimal
    minimum: Decimal
    maximum: Decimal
    average: Decimal

    @property
    def change(self) -> Decimal:
        return less(self.last, self.first)

    @property
    def change_percent(self) -> Decimal | None:
        return percent(Fraction(self.change), Fraction(self.first))


@dataclass(slots=True)
class AssetTally:
    """Keeps nothing but the sums."""

    count: int = 0
    first: Decimal = Decimal(0)
    last: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    maximum: Decimal = Decimal(0)
    total: Decimal = Decimal(0)
    curve: Curve = field(default_factory=Curve)

    def add(self, time: datetime, balance: Decimal) -> None:
        self.curve.add(time, balance)
        if not self.count:
            self.first = self.minimum = self.maximum = balance
        self.minimum, self.maximum = min(self.minimum, balance), max(self.maximum, balance)
        self.last = balance
        self.total = plus(self.total, balance)
        self.count += 1

    def statistics(self, until: datetime | None = None) -> Statistics[AssetStats]:
        """The last balance goes on to hold `until` then. Nothing where nothing was counted: absent is not zero."""
        records = None
        if self.count:
            average = mean(Fraction(self.total) / self.count)
            records = AssetStats(self.count, self.first, self.last, self.minimum, self.maximum, average)
        return Statistics(records, self.curve.course(until))


def mean(exact: Fraction) -> Decimal:
    """With as many digits as a mean is shown with."""
    return _AVERAGE.divide(Decimal(exact.numerator), Decimal(exact.denominator))


@dataclass(frozen=True, slots=True)
class Point:
    """What held in one stretch of time: at its end, and the extremes within."""

    time: datetime
    balance: Decimal
    minimum: Decimal
    maximum: Decimal


class Series:
    """Balances into equal stretches of time; where nothing changed, what held before goes on.

    Takes them within the time, oldest first, and keeps nothing but the points.
    """

    def __init__(self, start: datetime, end: datetime, granularity: Granularity, before: Decimal | None = None) -> None:
        """`before` is what held at the start, where that is known."""
        self._step = timedelta(seconds=SECONDS[granularity])
        self._begin = floor(start, granularity)
        self._end = end
        self._held = self._low = self._high = before
        self._points: list[Point] = []

    def add(self, time: datetime, balance: Decimal) -> None:
        self._go_on(min(time, self._end))
        self._held = balance
        self._low = balance if self._low is None else min(self._low, balance)
        self._high = balance if self._high is None else max(self._high, balance)

    def points(self) -> list[Point]:
        """Stretches before anything is known are left out."""
        self._go_on(self._end)
        last = self._point() if self._begin < self._end else None
        return self._points if last is None else [*self._points, last]

    def _go_on(self, time: datetime) -> None:
        while time >= self._begin + self._step:
            if (point := self._point()) is not None:
                self._points.append(point)
            self._begin += self._step
            self._low = self._high = self._held

    def _point(self) -> Point | None:
        if self._held is None or self._low is None or self._high is None:
            return None
        return Point(self._begin, self._held, self._low, self._high)


def floor(time: datetime, granularity: Granularity) -> datetime:
    """The beginning of the stretch that a time is in."""
    seconds = int(time.timestamp()) // SECONDS[granularity] * SECONDS[granularity]
    return datetime.fromtimestamp(seconds, UTC)


def stretches(start: datetime, end: datetime, granularity: Granularity) -> int:
    """How many points a series has at most."""
    return int((end - floor(start, granularity)).total_seconds()) // SECONDS[granularity] + 1
