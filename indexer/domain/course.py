"""How a balance went over a time: what held on average, how much it swung, and where it tended to.

All three are of one curve, the balance at every moment, so that ten records within a second weigh no more than the
second. Sums are exact; what has no last digit is rounded where it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final, Literal

Direction = Literal["up", "down", "flat"]

_MOMENT: Final = timedelta(microseconds=1)
_ROOT: Final = Context(prec=200)
"""Two uint256 multiplied have 155 digits."""

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

    def __init__(self, start: datetime | None = None, held: Fraction | None = None) -> None:
        self._start = start if held is not None else None
        self._at = self._start
        self._held = held
        self._first: Fraction | None = None
        """Of those that were added."""
        self._length = 0
        self._sum = self._squares = self._moments = Fraction(0)

    def add(self, time: datetime, balance: Fraction) -> None:
        self._reach(time)
        if self._first is None:
            self._first = balance
        self._held = balance

    def course(self, until: datetime | None = None) -> Course | None:
        """Up to `until`, or to the last balance where that is later; nothing where nothing is known."""
        if until is not None and self._held is not None:
            self._reach(until)
        if self._held is None:
            return None
        moved = Fraction(0) if self._first is None else self._held - self._first
        if not self._length:
            return Course(self._held, Decimal(0), _sign(moved), Decimal(0))
        average = self._sum / self._length
        variance = self._squares / self._length - average**2
        # Against time: the mean of time is half the length, and its variance a twelfth of the length's square.
        together = self._moments / self._length - average * Fraction(self._length, 2)
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
        since, till = (begun - self._start) // _MOMENT, (self._at - self._start) // _MOMENT
        self._length = till
        self._sum += self._held * (till - since)
        self._squares += self._held**2 * (till - since)
        self._moments += self._held * Fraction(till**2 - since**2, 2)


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
    relative = variance / average**2
    root = _ROOT.sqrt(_ROOT.divide(Decimal(relative.numerator), Decimal(relative.denominator)))
    return round(_ROOT.multiply(root, Decimal(100)), PLACES)


def _rounded(value: Fraction) -> Decimal:
    scaled = round(value * 10**PLACES)
    return Decimal(scaled).scaleb(-PLACES, Context(prec=1_000))


def _sign(value: Fraction) -> Direction:
    return "flat" if not value else "up" if value > 0 else "down"
