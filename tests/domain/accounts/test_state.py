"""Snapshots and frames of a wallet, merged: nothing old wins, nothing is guessed, nothing vanishes by accident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import overload

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.accounts.amounts import Amounts, Measure, Slot
from indexer.domain.accounts.arrivals import Moved, Snapshot, Updated
from indexer.domain.accounts.merging import APART_SECONDS, EMPTY_FROM_THE_START, VANISHED_ALL, VANISHED_ONCE, merge
from indexer.domain.accounts.state import Merged, WalletState, restored
from tests.domain.accounts.builders import TIME, amounts, held


@overload
def at(seconds: float) -> datetime: ...


@overload
def at(seconds: None) -> None: ...


def at(seconds: float | None) -> datetime | None:
    """On the venue's clock, which is ours."""
    return None if seconds is None else TIME + timedelta(seconds=seconds)


def whole(asked: float, *, complete: bool = True, venue: float | None = None, **totals: str) -> Snapshot:
    return _whole_at(asked, totals, complete=complete, venue=venue)


def _whole_at(
    asked: float, totals: Mapping[str, str], *, complete: bool = True, venue: float | None = None
) -> Snapshot:
    found = {asset: amounts(total, "0", total) for asset, total in totals.items()}
    return Snapshot("spot", found, "wallet", "rest", asked, asked + 0.1, at(asked + 0.1), at(venue), complete=complete)


def frame(
    received: float, measure: Measure = "wallet", venue: float | None = None, *, timed: bool = True, **totals: str
) -> Updated:
    """One that comes as fast as frames do, unless something else is said."""
    found = {asset: amounts(total, "0", total) for asset, total in totals.items()}
    happened = at(received if venue is None else venue) if timed else None
    return Updated("spot", found, measure, received, at(received), happened)


def after(*arrivals: Snapshot | Updated | Moved, state: WalletState | None = None) -> Merged:
    merged = Merged(state or WalletState())
    for arrival in arrivals:
        merged = merge(merged.state, arrival)
    return merged


def totals(state: WalletState) -> Mapping[str, str]:
    return {asset: str(one.held.amounts.total) for asset, one in sorted(state.known.items())}


def test_the_first_snapshot_tells_every_asset_that_is_there() -> None:
    merged = after(whole(1, BTC="1", ETH="0"))
    assert [(one.slot.asset, one.source) for one in merged.changed] == [("BTC", "rest")]
    assert merged.state.is_based


def test_a_snapshot_that_says_the_same_changes_nothing() -> None:
    assert after(whole(1, BTC="1"), whole(2, BTC="1")).changed == ()


def test_a_frame_changes_only_the_assets_in_it() -> None:
    merged = after(whole(1, BTC="1", ETH="2"), frame(2, BTC="3"))
    assert [one.slot.asset for one in merged.changed] == ["BTC"]
    assert totals(merged.state) == {"BTC": "3", "ETH": "2"}


def test_a_slow_answer_that_started_before_a_newer_one_never_wins() -> None:
    assert totals(after(whole(5, BTC="2"), whole(1, BTC="1")).state) == {"BTC": "2"}


def test_an_answer_asked_for_before_a_frame_does_not_overwrite_it_and_is_asked_again() -> None:
    merged = after(whole(1, BTC="1"), frame(3, BTC="2"), whole(2, BTC="1"))
    assert totals(merged.state) == {"BTC": "2"}
    assert merged.ask is not None


def test_a_frame_older_than_the_newest_word_is_dropped_and_the_wallet_asked() -> None:
    merged = after(whole(1, BTC="1"), frame(2, venue=1.9, BTC="3"), frame(3, venue=1.8, BTC="2"))
    assert totals(merged.state) == {"BTC": "3"}
    assert merged.ask is not None
    assert merged.changed == ()


def test_a_repeated_frame_changes_nothing_and_asks_nothing() -> None:
    merged = after(whole(1, BTC="1"), frame(2, venue=1.9, BTC="3"), frame(3, venue=1.9, BTC="3"))
    assert (merged.changed, merged.ask) == ((), None)


def test_frames_before_the_first_snapshot_wait_for_it() -> None:
    waiting = after(frame(5, BTC="2"))
    assert (waiting.changed, waiting.state.is_based) == ((), False)
    assert waiting.ask is not None
    merged = after(whole(4, BTC="1", ETH="7"), state=waiting.state)
    assert totals(merged.state) == {"BTC": "2", "ETH": "7"}
    assert sorted(one.slot.asset for one in merged.changed) == ["BTC", "ETH"]


def test_a_frame_that_came_before_the_first_snapshot_was_asked_for_is_in_it() -> None:
    assert totals(after(frame(3, BTC="2"), whole(4, BTC="5")).state) == {"BTC": "5"}


def test_what_came_or_went_is_a_reason_to_ask_and_never_added_up() -> None:
    merged = after(whole(1, BTC="1"), Moved(Slot("spot", "BTC"), Decimal(3), 2))
    assert totals(merged.state) == {"BTC": "1"}
    assert merged.ask is not None


def test_only_like_is_compared_with_like() -> None:
    merged = after(whole(1, BTC="1"), frame(2, measure="equity", BTC="9"))
    assert totals(merged.state) == {"BTC": "1"}
    assert merged.ask is not None


def test_a_frame_that_says_only_a_new_total_leaves_the_rest_unknown_and_asks() -> None:
    partial = Updated("spot", {"BTC": Amounts(total=Decimal(2))}, "wallet", 2, at(2), at(2))
    merged = after(whole(1, BTC="1"), partial)
    assert merged.changed[0].amounts == Amounts(total=Decimal(2))
    assert merged.ask is not None


def test_a_frame_that_says_only_the_known_total_changes_nothing() -> None:
    merged = after(whole(1, BTC="1"), Updated("spot", {"BTC": Amounts(total=Decimal(1))}, "wallet", 2, TIME))
    assert (merged.changed, merged.ask) == ((), None)


def test_an_asset_left_out_once_is_asked_for_again_before_it_counts_as_gone() -> None:
    once = after(whole(1, BTC="1", ETH="2"), whole(2, BTC="1"))
    assert totals(once.state) == {"BTC": "1", "ETH": "2"}
    assert once.doubt is not None
    twice = after(*(whole(3 + n, BTC="1") for n in range(VANISHED_ONCE - 1)), state=once.state)
    assert totals(twice.state) == {"BTC": "1", "ETH": "0"}
    assert [one.slot.asset for one in twice.changed] == ["ETH"]


def test_a_zero_that_is_left_out_of_a_whole_list_is_confirmed_by_it() -> None:
    merged = after(whole(1, BTC="1", ETH="2"), frame(2, ETH="0"), whole(400, BTC="1"))
    assert (merged.changed, merged.doubt) == ((), None)
    assert merged.state.known["ETH"].held.received == at(400.1)
    stored = after(whole(400, BTC="1"), state=restored({"ETH": held("0", Slot("spot", "ETH"))}))
    assert stored.state.known["ETH"].held.received == at(400.1)


def test_a_zero_that_is_left_out_of_a_part_of_a_list_is_not() -> None:
    merged = after(whole(1, BTC="1", ETH="2"), frame(2, ETH="0"), whole(400, complete=False, BTC="1"))
    assert merged.state.known["ETH"].held.received == at(2)


def test_an_incomplete_snapshot_says_nothing_of_what_it_leaves_out() -> None:
    merged = after(whole(1, BTC="1", ETH="2"), *(whole(2 + n, complete=False, BTC="1") for n in range(9)))
    assert totals(merged.state) == {"BTC": "1", "ETH": "2"}


def test_a_wallet_that_is_empty_at_once_is_believed_only_after_many_answers() -> None:
    state = after(whole(1, BTC="1", ETH="2")).state
    asked = 1.0
    for apart in APART_SECONDS[: VANISHED_ALL - 1]:
        asked += apart + 0.5
        doubtful = after(whole(asked), state=state)
        state = doubtful.state
        assert doubtful.changed == ()
        assert doubtful.doubt is not None
    assert totals(after(whole(asked + APART_SECONDS[-1]), state=state).state) == {"BTC": "0", "ETH": "0"}


def test_empty_answers_that_follow_each_other_quickly_count_as_one() -> None:
    merged = after(whole(1, BTC="1"), *(whole(2 + n / 10) for n in range(5 * VANISHED_ALL)))
    assert totals(merged.state) == {"BTC": "1"}


def test_a_frame_with_an_amount_says_that_the_wallet_is_not_empty() -> None:
    quiet = after(whole(1, BTC="1"), whole(2), whole(4))
    assert quiet.state.empty == 2
    assert after(frame(5, BTC="2"), state=quiet.state).state.empty == 0
    assert after(frame(5, BTC="0"), state=quiet.state).state.empty == 2


def test_zeros_for_everything_at_once_are_doubted_like_an_empty_list() -> None:
    assert after(whole(1, BTC="1", ETH="2"), whole(2, BTC="0", ETH="0")).doubt is not None


def test_one_good_answer_ends_the_doubt() -> None:
    doubtful = after(whole(1, BTC="1"), whole(2), whole(3), whole(4, BTC="1"), whole(5), whole(6.5))
    assert totals(doubtful.state) == {"BTC": "1"}
    assert doubtful.state.empty == 2


def test_a_wallet_of_which_nothing_is_known_is_not_believed_to_be_empty_at_once() -> None:
    state = WalletState()
    for n in range(EMPTY_FROM_THE_START - 1):
        state = after(whole(1 + n), state=state).state
        assert not state.is_based
    assert after(whole(9), state=state).state.is_based


def test_what_a_frame_leaves_out_is_as_new_as_the_answer_that_said_it() -> None:
    total = Updated("spot", {"BTC": Amounts(total=Decimal(1))}, "wallet", 1.05, TIME)
    merged = after(total, replace(whole(1, BTC="1"), time=TIME + timedelta(seconds=1)))
    known = merged.state.known["BTC"].held
    assert known.amounts == amounts("1", "0", "1")
    assert known.received == TIME + timedelta(seconds=1)


def test_what_a_frame_repeats_only_a_part_of_is_still_as_the_answer_said_it() -> None:
    part = replace(frame(1.05, BTC="1"), amounts={"BTC": amounts(total="1")})
    merged = after(part, whole(1, BTC="1"))  # it waited for the answer, which was asked for before it came
    assert [one.held.source for one in merged.state.known.values()] == ["rest"]
    repeated = after(replace(part, received=3.0, time=at(3)), state=merged.state)
    assert [one.held.source for one in repeated.state.known.values()] == ["rest"]
    other = replace(part, received=4.0, time=at(4), venue_time=at(4), amounts={"BTC": amounts(total="2")})
    assert [one.source for one in after(other, state=repeated.state).changed] == ["stream"]


def test_what_a_frame_repeats_all_of_is_as_the_stream_tells_it() -> None:
    assert [one.held.source for one in after(whole(1, BTC="1"), frame(2, BTC="1")).state.known.values()] == ["stream"]


def test_a_zero_told_by_the_stream_is_believed() -> None:
    merged = after(whole(1, BTC="1"), frame(2, BTC="0"))
    assert totals(merged.state) == {"BTC": "0"}


def test_what_an_earlier_life_kept_is_compared_with_and_overwritten() -> None:
    state = restored({"BTC": held("1", Slot("spot", "BTC")), "ETH": held("2", Slot("spot", "ETH"))})
    merged = after(whole(1, BTC="5", ETH="2"), state=state)
    assert [one.slot.asset for one in merged.changed] == ["BTC"]
    assert merged.drifted == ()


def test_a_difference_that_nobody_told_is_drift() -> None:
    merged = after(whole(1, BTC="1"), whole(2, BTC="2"))
    assert merged.drifted == (Slot("spot", "BTC"),)


_moves = st.lists(st.tuples(st.sampled_from(["BTC", "ETH"]), st.integers(0, 9)), min_size=1, max_size=12)
_orders = st.randoms(use_true_random=False)


@given(moves=_moves, order=_orders, doubled=st.booleans(), dropped=st.sets(st.integers(0, 11)))
def test_however_frames_come_one_late_snapshot_leaves_the_truth(
    moves: list[tuple[str, int]], order: Random, doubled: bool, dropped: set[int]
) -> None:
    """Frames with the venue's times, dropped, repeated and out of order; then what was asked after all of them."""
    truth = {"BTC": "1", "ETH": "1", "USD": "1"} | {asset: str(value) for asset, value in moves}
    frames = [
        Updated("spot", {asset: amounts(str(value), "0", str(value))}, "wallet", 0, TIME, at(2 + n))
        for n, (asset, value) in enumerate(moves)
        if n not in dropped
    ] * (2 if doubled else 1)
    order.shuffle(frames)
    state = after(whole(1, BTC="1", ETH="1", USD="1")).state
    for n, one in enumerate(frames):
        state = merge(state, Updated(one.wallet, one.amounts, "wallet", 20 + n, at(20 + n), one.venue_time)).state
    merged = merge(state, _whole_at(100, truth))
    assert totals(merged.state) == dict(sorted(truth.items()))


@given(moves=_moves, order=_orders)
def test_frames_in_any_order_end_at_the_newest_of_each_asset(moves: list[tuple[str, int]], order: Random) -> None:
    frames = [
        Updated("spot", {asset: amounts(str(value), "0", str(value))}, "wallet", 0, TIME, at(2 + n))
        for n, (asset, value) in enumerate(moves)
    ]
    truth = {"BTC": "1", "ETH": "1"} | {asset: str(value) for asset, value in moves}
    order.shuffle(frames)
    state = after(whole(1, BTC="1", ETH="1")).state
    for n, one in enumerate(frames):
        state = merge(state, Updated(one.wallet, one.amounts, "wallet", 20 + n, at(20 + n), one.venue_time)).state
    assert totals(state) == dict(sorted(truth.items()))
