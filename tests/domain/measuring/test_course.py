"""The course of a balance, held against arithmetic that takes the long way."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.measuring.course import Course, Curve, percent
from tests.domain.samples import UINT256

START = datetime(2026, 11, 21, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def course_of(*balances: tuple[float, int], until: float | None = None, held: int | None = None) -> Course:
    curve = Curve(START, None if held is None else Fraction(held))
    for second, balance in balances:
        curve.add(at(second), Fraction(balance))
    course = curve.course(None if until is None else at(until))
    assert course is not None
    return course


def test_a_balance_weighs_as_long_as_it_held() -> None:
    assert course_of((0, 10), (3, 20), until=4).average == Fraction(10 * 3 + 20, 4)
    assert course_of((3, 20), until=4, held=10).average == Fraction(10 * 3 + 20, 4)
    assert course_of((3, 20), until=4).average == 20


def test_what_never_changed_is_calm_and_flat() -> None:
    assert course_of(until=60, held=7) == Course(Fraction(7), Decimal(0), "flat", Decimal(0))
    assert course_of((0, 0), until=60) == Course(Fraction(0), Decimal(0), "flat", Decimal(0))


def test_of_records_at_one_moment_the_last_one_counts_and_the_first_tells_the_direction() -> None:
    assert course_of((0, 5), (0, 9)) == Course(Fraction(9), Decimal(0), "up", Decimal(0))


def test_a_step_at_the_very_end_tells_the_direction() -> None:
    assert course_of((0, 5), (9, 7)) == Course(Fraction(5), Decimal(0), "up", Decimal(0))


def test_nothing_known_has_no_course() -> None:
    assert Curve(START).course(at(5)) is None
    assert Curve().course() is None


def test_an_end_before_the_last_balance_cuts_nothing_off() -> None:
    assert course_of((0, 10), (4, 20), until=2).average == 10


@pytest.mark.parametrize(("last", "direction"), [(20, "up"), (0, "down"), (10, "flat")])
def test_the_trend_points_to_where_the_balance_goes(last: int, direction: str) -> None:
    assert course_of((0, 10), (5, last), until=10).direction == direction


def test_a_steady_climb_is_a_stronger_trend_than_a_swing() -> None:
    climb = course_of(*((second, second) for second in range(100)), until=100)
    swing = course_of(*((second, second % 2) for second in range(100)), until=100)
    assert climb.strength > Decimal("0.99")
    assert swing.strength < Decimal("0.01")


def test_volatility_is_the_deviation_in_percent_of_the_average() -> None:
    assert course_of((0, 8), (1, 12), until=2).volatility == Decimal(20)
    assert course_of((0, -5), (1, 5), until=2).volatility is None


def test_volatility_has_as_many_digits_as_it_takes() -> None:
    assert course_of((0, -(10**40)), (1, 10**40 + 2), until=2).volatility == Decimal(10**42 + 100)


@given(st.lists(st.integers(0, UINT256), min_size=2, max_size=20))
def test_equal_steps_have_the_mean_and_deviation_of_the_list(balances: list[int]) -> None:
    course = course_of(*enumerate(balances), until=len(balances))
    assert course.average == Fraction(sum(balances), len(balances))
    assert 0 <= course.strength <= 1
    if course.average and course.volatility is not None:
        exact = statistics.pstdev(balances) / float(course.average) * 100
        assert float(course.volatility) == pytest.approx(exact, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "before", "told"), [(5, 10, "50.0000"), (-5, 10, "-50.0000"), (1, 3, "33.3333"), (5, -10, "50.0000")]
)
def test_a_percentage_is_of_what_was_there_before(change: int, before: int, told: str) -> None:
    assert percent(Fraction(change), Fraction(before)) == Decimal(told)
    assert percent(Fraction(change), Fraction(0)) is None
