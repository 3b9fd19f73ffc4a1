"""When a stream has to be looked after."""

from __future__ import annotations

from indexer.domain.accounts.amounts import Slot
from indexer.domain.accounts.hearing import DEAD_SECONDS, LATE_SECONDS, Hearing

BTC = Slot("spot", "BTC")


def test_the_next_doubt_is_when_it_would_be_dead() -> None:
    hearing = Hearing().opened(frozenset({"spot"}), 100.0)
    assert hearing.next_doubt() == 100.0 + DEAD_SECONDS
    assert hearing.is_dead(hearing.next_doubt() + 0.001)


def test_what_it_should_tell_is_waited_for_no_longer_than_that() -> None:
    hearing = Hearing().opened(frozenset({"spot"}), 100.0).found([BTC], 104.0)
    assert hearing.next_doubt() == 104.0 + LATE_SECONDS
    assert hearing.told([BTC], 105.0).next_doubt() == 105.0 + DEAD_SECONDS


def test_a_stream_that_is_not_open_raises_no_doubt() -> None:
    assert Hearing().next_doubt() == float("inf")


def test_a_lost_stream_takes_nothing_with_it_of_those_that_are_still_open() -> None:
    btc, usdt = BTC, Slot("futures", "USDT")
    hearing = Hearing().opened(frozenset({"spot", "futures"}), 100.0).found([btc, usdt], 104.0)
    left = hearing.lost(frozenset({"spot"}))
    assert (left.talks(105.0, "spot"), left.talks(105.0, "futures")) == (True, False)
    assert left.forgotten(108.0) == (btc,)


def test_a_stream_that_is_lost_as_a_whole_expects_nothing() -> None:
    assert Hearing().opened(frozenset({"spot"}), 100.0).found([BTC], 104.0).lost() == Hearing()
