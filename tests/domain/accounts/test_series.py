"""Balances into points for a chart, one balance at a time, held against the whole list at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.accounts.stats import Point, Series

START = datetime(2026, 11, 21, 5, 0, 30, tzinfo=UTC)
END = START + timedelta(minutes=6, seconds=30)
MINUTE = timedelta(minutes=1)

STEPS = st.lists(st.tuples(st.integers(0, 390), st.integers(0, 5)), max_size=30).map(
    lambda steps: sorted(steps, key=lambda step: step[0])
)


def series(steps: list[tuple[int, int]], before: int | None) -> list[Point]:
    held = None if before is None else Decimal(before)
    made = Series(START, END, "minute", held)
    for second, balance in steps:
        made.add(START + timedelta(seconds=second), Decimal(balance))
    return made.points()


@given(STEPS, st.none() | st.integers(0, 5))
def test_a_point_tells_the_end_and_the_extremes_of_its_minute(steps: list[tuple[int, int]], before: int | None) -> None:
    expected = []
    for minute in range(7):
        begin = START.replace(second=0) + minute * MINUTE
        offset = (begin - START).total_seconds()
        earlier = [value for second, value in steps if second < offset]
        carried = earlier[-1:] or ([] if before is None else [before])
        held = [*carried, *(value for second, value in steps if offset <= second < offset + 60)]
        if held:
            expected.append(Point(begin, Decimal(held[-1]), Decimal(min(held)), Decimal(max(held))))
    assert series(steps, before) == expected


def test_nothing_known_has_no_points() -> None:
    assert series([], None) == []
