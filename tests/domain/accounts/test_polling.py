"""How often a wallet is read, and which changes are worth telling twice."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.accounts.changes import ChangeThreshold
from indexer.domain.accounts.polling import ASK_AGAIN_SECONDS, CONFIRMATIONS, Allowance, Rhythm, ask_again, try_again


@given(st.floats(0, 1))
def test_reads_are_seldom_while_the_stream_talks_and_soon_while_it_does_not(jitter: float) -> None:
    rhythm = Rhythm()
    assert 60 <= rhythm.next_after(stream_talks=True, jitter=jitter) <= 120
    assert 4.5 <= rhythm.next_after(stream_talks=False, jitter=jitter) <= 5.5


def test_contradictions_are_asked_about_with_growing_bounded_pauses() -> None:
    assert [ask_again(doubts) for doubts in (0, 1, 2, 99)] == [0.5, 0.5, 1.0, ASK_AGAIN_SECONDS[-1]]


def test_a_read_that_fails_is_tried_again_before_what_the_stream_told_is_late() -> None:
    assert [try_again(failures) for failures in (0, 1, 2, 3, 99)] == [0.5, 0.5, 1.0, 1.5, 1.5]


def test_confirmations_follow_each_other_quickly_until_the_allowance_is_spent_and_then_at_the_usual_pace() -> None:
    allowance = Allowance()
    for _ in range(CONFIRMATIONS):
        assert allowance.at(0, 5).wait(5) == 0
        allowance = allowance.at(0, 5).less_one()
    assert allowance.wait(5) == 5
    assert allowance.at(3, 5).wait(5) == 2
    assert allowance.at(1e9, 5) == Allowance(CONFIRMATIONS, 1e9)


@pytest.mark.parametrize(
    ("absolute", "percent", "before", "after", "passed"),
    [
        ("0", "1", "100", "101", True),
        ("0", "1", "100", "100.99", False),
        ("5", "1", "100", "104", False),
        ("5", "1", "100", "95", True),
        ("0", "0", "100", "100.00000001", True),
        ("0", "0", "100", "100", False),
        ("0", "1", "0", "0.1", True),
        ("0", "1", "-100", "-99", True),
    ],
)
def test_a_change_is_worth_telling_beyond_both_thresholds(
    absolute: str, percent: str, before: str, after: str, passed: bool
) -> None:
    threshold = ChangeThreshold(Decimal(absolute), Decimal(percent))
    assert threshold.is_passed(Decimal(before), Decimal(after)) is passed
