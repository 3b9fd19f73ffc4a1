"""Statistics in exact integers."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.stats import stats_of
from tests.domain.samples import UINT256


@given(st.lists(st.integers(0, UINT256), min_size=1))
def test_stats_are_those_of_the_whole_list(balances: list[int]) -> None:
    stats = stats_of(iter(balances))
    assert stats is not None
    assert (stats.count, stats.first, stats.last) == (len(balances), balances[0], balances[-1])
    assert (stats.minimum, stats.maximum) == (min(balances), max(balances))
    assert stats.change == balances[-1] - balances[0]
    assert 0 <= Fraction(sum(balances), len(balances)) - stats.average < 1


def test_nothing_counted_is_nothing_known() -> None:
    assert stats_of([]) is None


def test_one_zero_is_a_statistic() -> None:
    stats = stats_of([0])
    assert stats is not None
    assert (stats.count, stats.average, stats.change) == (1, 0, 0)
