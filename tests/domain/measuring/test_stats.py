"""Statistics in exact numbers, of integers and of decimals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.accounts.stats import AssetTally
from indexer.domain.measuring.course import Curve, Direction
from indexer.domain.measuring.stats import Tally
from tests.domain.samples import UINT256

START = datetime(2026, 11, 21, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def tally_of(*balances: int) -> Tally:
    tally = Tally()
    for number, balance in enumerate(balances):
        tally.add(START + number * SECOND, balance)
    return tally


@given(st.lists(st.integers(0, UINT256), min_size=1))
def test_stats_are_those_of_the_whole_list(balances: list[int]) -> None:
    stats = tally_of(*balances).statistics().records
    assert stats is not None
    assert (stats.count, stats.first, stats.last) == (len(balances), balances[0], balances[-1])
    assert (stats.minimum, stats.maximum) == (min(balances), max(balances))
    assert stats.change == balances[-1] - balances[0]
    assert 0 <= Fraction(sum(balances), len(balances)) - stats.average < 1


def test_nothing_counted_is_nothing_known() -> None:
    statistics = tally_of().statistics(START)
    assert (statistics.records, statistics.course) == (None, None)


def test_one_zero_is_a_statistic() -> None:
    stats = tally_of(0).statistics().records
    assert stats is not None
    assert (stats.count, stats.average, stats.change, stats.change_percent) == (1, 0, 0, None)


def test_the_last_balance_goes_on_to_hold() -> None:
    statistics = tally_of(10, 20).statistics(START + 4 * SECOND)
    assert statistics.course is not None
    assert statistics.course.average == Fraction(10 + 20 * 3, 4)


def test_of_decimals_they_are_as_exact() -> None:
    tally = AssetTally()
    for number, text in enumerate(("0.1", "0.2", "0.2")):
        tally.add(START + number * SECOND, Decimal(text))
    statistics = tally.statistics(START + 2 * SECOND)
    assert statistics.records is not None
    assert statistics.course is not None
    assert (statistics.records.change, statistics.records.change_percent) == (Decimal("0.1"), Decimal(100))
    assert statistics.course.average == Fraction(3, 20)


@given(st.lists(st.decimals(-(10**12), 10**12, allow_nan=False, places=None), min_size=1, max_size=12))
def test_decimals_of_different_length_are_weighed_as_exactly(balances: list[Decimal]) -> None:
    tally = AssetTally(curve=Curve(START - SECOND, Fraction(balances[-1])))
    for number, balance in enumerate(balances):
        tally.add(START + number * SECOND, balance)
    course = tally.statistics(START + len(balances) * SECOND).course
    held = [Fraction(balances[-1]), *map(Fraction, balances)]
    assert course is not None
    assert course.average == sum(held) / len(held)
    variance = sum(value**2 for value in held) / len(held) - course.average**2
    if course.volatility is not None and variance:
        told, exact = Fraction(course.volatility), variance / course.average**2 * 100**2
        assert max(told - Fraction(1, 10_000), Fraction(0)) ** 2 <= exact <= (told + Fraction(1, 10_000)) ** 2


# --- the trend beside the change ---

Steps = list[tuple[int, int]]
"""Seconds since the start (several records may share one) and balances."""
Told = tuple[int | Decimal, Direction, Decimal]
"""Change, direction and strength."""
Trend = Callable[[Steps, int | None, int], Told | None]
"""Of records, what held before the start (where that is known), and until when the last goes on."""

STEPS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=8).map(
    lambda steps: sorted(steps, key=lambda step: step[0])
)


def chain_trend(steps: Steps, before: int | None, until: int) -> Told | None:
    tally = Tally(curve=Curve(START, None if before is None else Fraction(before)))
    for second, balance in steps:
        tally.add(START + second * SECOND, balance)
    statistics = tally.statistics(START + until * SECOND)
    change = 0 if statistics.records is None else statistics.records.change
    course = statistics.course
    return None if course is None else (change, course.direction, course.strength)


def account_trend(steps: Steps, before: int | None, until: int) -> Told | None:
    tally = AssetTally(curve=Curve(START, None if before is None else Fraction(before)))
    for second, balance in steps:
        tally.add(START + second * SECOND, Decimal(balance))
    statistics = tally.statistics(START + until * SECOND)
    change = Decimal(0) if statistics.records is None else statistics.records.change
    course = statistics.course
    return None if course is None else (change, course.direction, course.strength)


TRENDS = pytest.mark.parametrize("trend", [chain_trend, account_trend])


def sign(value: int | Decimal | Fraction) -> Direction:
    return "flat" if not value else "up" if value > 0 else "down"


@TRENDS
@given(STEPS, st.none() | st.integers(0, 5), st.integers(0, 8))
def test_where_no_line_fits_the_direction_is_that_of_the_change(
    trend: Trend,
    steps: Steps,
    before: int | None,
    until: int,
) -> None:
    told = trend(steps, before, until)
    assert (told is None) == (not steps and before is None)
    if told is not None and not told[2]:
        assert told[1] == sign(told[0])


@TRENDS
@given(STEPS, st.none() | st.integers(0, 5), st.integers(0, 8))
def test_where_a_line_fits_the_direction_is_that_of_the_line(
    trend: Trend,
    steps: Steps,
    before: int | None,
    until: int,
) -> None:
    told = trend(steps, before, until)
    if told is not None and told[2]:
        assert told[1] == sign(slope(steps, before, until))


def slope(steps: Steps, before: int | None, until: int) -> Fraction:
    """The long way: each second that something held in, by its middle; their steps are level, so that is exact."""
    first = 0 if before is not None else steps[0][0]
    held = {
        second: balance
        for second in range(first, max(until, *(at for at, _ in steps), 0))
        if (balance := next((value for at, value in reversed(steps) if at <= second), before)) is not None
    }
    middle = Fraction(sum(held), len(held))
    return Fraction(sum((second - middle) * balance for second, balance in held.items()))


@TRENDS
def test_a_span_that_begins_with_its_only_record_is_flat(
    trend: Trend,
) -> None:
    assert trend([(0, 9)], 5, 60) == trend([], 9, 60) == (0, "flat", Decimal(0))


@TRENDS
def test_a_line_that_is_level_as_far_as_it_is_shown_does_not_contradict_the_change(
    trend: Trend,
) -> None:
    steps = [(0, 1_000), (9_000, 2_000), (9_001, 1_000), (20_000, 1_001)]
    assert trend(steps, None, 20_000) == (1, "up", Decimal(0))
