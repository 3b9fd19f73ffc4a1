"""How a balance went over a time: what held on average, how much it swung, and where it tended to.

All three are of one curve, the balance at every moment, so that ten records within a second weigh no more than the
second. Sums are exact; what has no last digit is rounded where it is shown. They are integers, counted in the largest
unit in which all balances are whole: of as many fractions each sum would take ten times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from math import isqrt, lcm
from typing import Final, Literal

Number = int | Decimal | Fraction
Direction = Literal["up", "down", "flat"]

_MOMENT: Final = timedelta(microseconds=1)
_WIDE: Final = Context(prec=1_000)
"""The default context refuses to round a number of more than 28 digits."""

PLACES: Final = 4
"""Digits behind the point of a percentage or a strength."""


@dataclass(frozen=True, slots=True)
class Course:
    """`volatility` is the standard deviation in percent of the average; `strength` how well a straight line fits.

    `direction` is the line's; where it explains nothing, as far as strength is shown, it is that of the records: from
    the first to the last, so that it never contradicts their change.
    """

    average: Fraction
    volatility: Decimal | None
    direction: Direction
    strength: Decimal


class Curve:
    """Takes balances oldest first and keeps nothing but sums; `held` is what was known to hold at `start`."""

    def __init__(self, start: datetime | None = None, held: Number | None = None) -> None:
        self._unit = 1
        """So many of it are one."""
        self._length = 0
        self._sum = self._squares = self._moments = 0
        """The moments are twice as much, so that they are whole."""
        self._first: int | None = None
        """Of those that were added."""
        self._held: int | None = None
        self._start = self._at = start if held is not None else None
        if held is not None:
            self._held = self._in_units(held)

    def add(self, time: datetime, balance: Number) -> None:
        self._reach(time)
        self._held = self._in_units(balance)
        if self._first is None:
            self._first = self._held

    def course(self, until: datetime | None = None) -> Course | None:
        """Up to `until`, or to the last balance where that is later; nothing where nothing is known."""
        if until is not None and self._held is not None:
            self._reach(until)
        if self._held is None:
            return None
        moved = 0 if self._first is None else self._held - self._first
        if not self._length:
            return Course(Fraction(self._held, self._unit), Decimal(0), _sign(moved), Decimal(0))
        length = self._length * self._unit
        average = Fraction(self._sum, length)
        variance = Fraction(self._squares, length * self._unit) - average**2
        # Against time: the mean of time is half the length, and its variance a twelfth of the length's square.
        together = Fraction(self._moments, 2 * length) - average * Fraction(self._length, 2)
        fits = together**2 * 12 / (variance * self._length**2) if variance else Fraction(0)
        strength = _rounded(fits)
        return Course(average, _volatility(variance, average), _sign(together if strength else moved), strength)

    def _reach(self, time: datetime) -> None:
        """What holds went on until then."""
        if self._start is None or self._at is None:
            self._start = self._at = time
        begun, self._at = self._at, max(self._at, time)
        if self._held is None or self._at == begun:
            return
        since, till = self._length_at(begun), self._length_at(self._at)
        self._length = till
        weighed = self._held * (till - since)
        self._sum += weighed
        self._squares += self._held * weighed
        self._moments += weighed * (till + since)

    def _length_at(self, time: datetime) -> int:
        return 0 if self._start is None else (time - self._start) // _MOMENT

    def _in_units(self, balance: Number) -> int:
        numerator, denominator = balance.as_integer_ratio()
        if self._unit % denominator:
            self._count_in(lcm(self._unit, denominator))
        return numerator * (self._unit // denominator)

    def _count_in(self, unit: int) -> None:
        finer = unit // self._unit
        self._unit = unit
        self._sum *= finer
        self._squares *= finer**2
        self._moments *= finer
        self._first = None if self._first is None else self._first * finer
        # What is held is about to be replaced.


def reached(end: datetime | None, now: datetime) -> datetime:
    """How far a time that ends then, or does not, goes by now."""
    return now if end is None else min(now, end)


def percent(change: Fraction, before: Fraction) -> Decimal | None:
    """Of what was there before; nothing where there was nothing."""
    return _rounded(change / abs(before) * 100) if before else None


def _volatility(variance: Fraction, average: Fraction) -> Decimal | None:
    if not variance:
        return Decimal(0)
    if not average:
        return None
    # A whole number's root is exact, however many digits it has: a balance may swing around nearly nothing.
    doubled = isqrt(int(4 * variance / average**2 * 10 ** (2 * PLACES + 4)))
    return _shifted((doubled + 1) // 2)


def _rounded(value: Fraction) -> Decimal:
    return _shifted(round(value * 10**PLACES))


def _shifted(places: int) -> Decimal:
    return Decimal(places).scaleb(-PLACES, _WIDE)


def _sign(value: int | Fraction) -> Direction:
    return "flat" if not value else "up" if value > 0 else "down"
