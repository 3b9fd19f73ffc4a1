"""Statistics in exact numbers, of integers and of decimals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.accounts.stats import AssetTally
from indexer.domain.stats import Tally
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
