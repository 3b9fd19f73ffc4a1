"""Statistics and series over what an account held, one balance at a time, oldest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final, Literal

from indexer.domain.accounts.amounts import less, plus
from indexer.domain.course import Curve, percent
from indexer.domain.stats import Statistics

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


@dataclass(slots=True)
class Series:
    """Balances into equal stretches of time; where nothing changed, what held before goes on."""

    start: datetime
    end: datetime
    granularity: Granularity
    before: Decimal | None = None
    """What held at the start, where that is known."""

    def points(self, balances: list[tuple[datetime, Decimal]]) -> list[Point]:
        """`balances` within the time, oldest first. Stretches before anything is known are left out."""
        step = timedelta(seconds=SECONDS[self.granularity])
        held, found, at = self.before, list[Point](), 0
        begin = floor(self.start, self.granularity)
        while begin < self.end:
            over = begin + step
            inside = [] if held is None else [held]
            while at < len(balances) and balances[at][0] < over:
                held = balances[at][1]
                inside.append(held)
                at += 1
            if held is not None:
                found.append(Point(begin, held, min(inside), max(inside)))
            begin = over
        return found


def floor(time: datetime, granularity: Granularity) -> datetime:
    """The beginning of the stretch that a time is in."""
    seconds = int(time.timestamp()) // SECONDS[granularity] * SECONDS[granularity]
    return datetime.fromtimestamp(seconds, UTC)


def stretches(start: datetime, end: datetime, granularity: Granularity) -> int:
    """How many points a series has at most."""
    return int((end - floor(start, granularity)).total_seconds()) // SECONDS[granularity] + 1
