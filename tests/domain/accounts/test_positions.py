"""What is believed of positions, whatever comes late, twice, empty or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from indexer.domain.accounts.arrivals import Position, PositionsSeen
from indexer.domain.accounts.merging import APART_SECONDS, VANISHED_ALL
from indexer.domain.accounts.order import OLD_ANSWER_SECONDS
from indexer.domain.accounts.positions import (
    BACK_SECONDS,
    LAG_SECONDS,
    MergedPositions,
    PositionsState,
    flat,
    merge_positions,
    restored_positions,
)
from tests.domain.accounts.builders import TIME

BTC = Position("BTC/USDT:USDT", "long", Decimal(1), Decimal(100), leverage=Decimal(10), margin_mode="cross")
ETH = Position("ETH/USDT:USDT", "short", Decimal(2), Decimal(10), leverage=Decimal(5), margin_mode="cross")


def answer(asked: float, *positions: Position) -> PositionsSeen:
    return PositionsSeen("futures", positions, asked, asked + 0.1, TIME)


def frame(
    received: float, *positions: Position, venue_time: float | None = None, complete: bool = False
) -> PositionsSeen:
    told = None if venue_time is None else TIME + timedelta(seconds=venue_time)
    return PositionsSeen("futures", positions, received, received, TIME, complete, "stream", told)


def holding(*positions: Position) -> PositionsState:
    return restored_positions({position.symbol: position for position in positions})


def played(state: PositionsState, arrivals: Sequence[PositionsSeen]) -> tuple[MergedPositions, list[Position]]:
    """The last word, and all that was told on the way."""
    merged, told = MergedPositions(state), list[Position]()
    for arrival in arrivals:
        merged = merge_positions(merged.state, arrival)
        told += merged.changed
    return merged, told


def test_they_are_told_when_they_open_change_and_close_and_not_when_prices_move() -> None:
    dearer = replace(BTC, mark_price=Decimal(200))
    _, told = played(PositionsState(), [answer(1, BTC, ETH), answer(2, dearer, ETH), answer(3, ETH), answer(4, ETH)])
    assert told == [BTC, ETH, flat(BTC.symbol)]


def test_an_answer_without_any_closes_them_only_after_many_of_its_kind_that_are_apart() -> None:
    times = [60 + sum(APART_SECONDS[: number + 1]) for number in range(VANISHED_ALL)]
    merged, told = played(holding(BTC, ETH), [answer(time) for time in times[:-1]])
    assert (told, merged.ask) == ([], "an answer without positions")
    merged = merge_positions(merged.state, answer(times[-1]))
    assert merged.changed == (flat(BTC.symbol), flat(ETH.symbol))


def test_empty_answers_that_follow_each_other_at_once_are_one() -> None:
    merged, told = played(holding(BTC), [answer(60 + number / 10) for number in range(30)])
    assert (told, merged.ask is None) == ([], False)


def test_an_answer_that_has_some_ends_the_doubt_about_all() -> None:
    times = [60 + sum(APART_SECONDS[: number + 1]) for number in range(VANISHED_ALL - 1)]
    _, told = played(holding(BTC), [*(answer(time) for time in times), answer(95, BTC), answer(160), answer(161)])
    assert told == []


def test_flat_rows_alone_are_an_answer_without_positions() -> None:
    assert merge_positions(holding(BTC), answer(60, flat(BTC.symbol))).changed == ()
    assert merge_positions(holding(BTC, ETH), answer(60, flat(BTC.symbol), ETH)).changed == (flat(BTC.symbol),)


def test_one_that_is_left_out_is_closed_by_the_second_answer() -> None:
    merged = merge_positions(holding(BTC, ETH), answer(60, ETH))
    assert (merged.changed, merged.ask) == ((), "BTC/USDT:USDT is missing")
    assert merge_positions(merged.state, answer(61, ETH)).changed == (flat(BTC.symbol),)


def test_an_answer_that_was_asked_for_before_a_frame_came_does_not_win_over_it() -> None:
    more = replace(BTC, contracts=Decimal(3))
    merged = merge_positions(holding(BTC, ETH), frame(10, more))
    assert merged.changed == (more,)
    slow = merge_positions(merged.state, answer(9, BTC, ETH))
    assert (slow.changed, slow.ask) == ((), "BTC/USDT:USDT was told otherwise while we asked")
    copied = merge_positions(merged.state, answer(10.1, BTC, ETH))
    assert (copied.changed, copied.ask is None) == ((), False)
    assert merge_positions(merged.state, answer(10 + LAG_SECONDS, BTC, ETH)).changed == (BTC,)


def test_an_older_question_is_not_heard_after_a_newer_one() -> None:
    more = replace(BTC, contracts=Decimal(3))
    _, told = played(holding(BTC), [answer(10, more), answer(9, BTC)])
    assert told == [more]


def test_frames_say_at_once_that_one_is_closed() -> None:
    assert merge_positions(holding(BTC, ETH), frame(10, flat(BTC.symbol))).changed == (flat(BTC.symbol),)
    assert merge_positions(holding(BTC, ETH), frame(10, ETH, complete=True)).changed == (flat(BTC.symbol),)
    assert merge_positions(holding(BTC, ETH), frame(10, ETH)).changed == ()


def test_a_frame_that_comes_late_is_not_believed_even_after_a_read() -> None:
    more = replace(BTC, contracts=Decimal(3))
    merged, told = played(holding(BTC), [frame(10, more, venue_time=10), answer(20, more)])
    late = merge_positions(merged.state, frame(21, BTC, venue_time=9))
    assert (told, late.changed, late.ask) == ([more], (), "BTC/USDT:USDT was told late")


def test_of_two_sides_in_one_contract_the_larger_is_told_once() -> None:
    short = replace(BTC, side="short", contracts=Decimal(2))
    _, told = played(PositionsState(), [answer(1, BTC, short), answer(60, short, BTC), answer(120, BTC, short)])
    assert told == [short]


def test_the_venues_own_times_decide_between_an_answer_and_a_frame() -> None:
    more = replace(BTC, contracts=Decimal(3))

    def changed(at: float) -> dict[str, datetime]:
        return {BTC.symbol: TIME + timedelta(seconds=at)}

    merged = merge_positions(holding(BTC), frame(10, more, venue_time=10))
    older = merge_positions(merged.state, replace(answer(19, BTC), times=changed(9)))
    assert (older.changed, older.ask) == ((), "BTC/USDT:USDT was told otherwise while we asked")
    newer = merge_positions(merged.state, replace(answer(10.1, BTC), times=changed(10.05)))
    assert newer.changed == (BTC,)
    assert merge_positions(newer.state, frame(61, more, venue_time=10)).changed == ()


def test_a_time_that_goes_backwards_for_long_is_the_clocks_mistake_and_not_the_positions() -> None:
    more, most = replace(BTC, contracts=Decimal(3)), replace(BTC, contracts=Decimal(4))
    merged = merge_positions(holding(BTC), frame(10, more, venue_time=10))
    times = {BTC.symbol: TIME + timedelta(seconds=2)}
    back = merge_positions(merged.state, replace(answer(10 + OLD_ANSWER_SECONDS, BTC), times=times))
    assert back.changed == (BTC,)
    assert merge_positions(back.state, frame(31, most, venue_time=3)).changed == (most,)


def _answered(asked: float, position: Position, changed: float) -> PositionsSeen:
    return replace(answer(asked, position), times={position.symbol: TIME + timedelta(seconds=changed)})


def test_what_a_frame_and_an_answer_say_with_an_older_time_is_believed_soon_after_the_clock_went_back() -> None:
    two, three, four = (replace(BTC, contracts=Decimal(count)) for count in (2, 3, 4))
    late = merge_positions(holding(BTC), frame(10, two, venue_time=10)).state
    late = merge_positions(late, frame(10.5, three, venue_time=1)).state
    soon = merge_positions(late, _answered(9.9 + BACK_SECONDS, three, 1))
    assert (soon.changed, soon.ask is None) == ((), False)
    otherwise = merge_positions(soon.state, _answered(10 + BACK_SECONDS, BTC, 0.5))
    assert (otherwise.changed, otherwise.ask is None) == ((), False)
    merged, told = played(otherwise.state, [_answered(10.1 + BACK_SECONDS, three, 1), frame(13, four, venue_time=3.5)])
    assert (told, merged.ask) == ([three, four], None)


def test_a_frame_from_before_the_clock_went_back_that_comes_after_it_is_asked_about() -> None:
    two, three = (replace(BTC, contracts=Decimal(count)) for count in (2, 3))
    seen = [frame(10, two, venue_time=10), frame(10.5, three, venue_time=1), _answered(10 + BACK_SECONDS, three, 1)]
    merged, told = played(holding(BTC), seen)
    before = merge_positions(merged.state, frame(12.5, BTC, venue_time=9))
    assert (told, before.changed, before.ask) == ([two, three], (), "BTC/USDT:USDT was told late")


def test_a_frame_that_was_late_indeed_does_not_help_an_older_answer_once_a_newer_one_came() -> None:
    two, three = (replace(BTC, contracts=Decimal(count)) for count in (2, 3))
    seen = [frame(10, two, venue_time=10), frame(10.1, BTC, venue_time=9), frame(10.2, three, venue_time=10.2)]
    merged, told = played(holding(BTC), [*seen, _answered(15, BTC, 9)])
    assert (told, merged.changed) == ([two, three], ())


def test_what_a_frame_leaves_out_is_as_it_was() -> None:
    more = replace(BTC, contracts=Decimal(3), leverage=None, margin_mode=None)
    assert merge_positions(holding(BTC), frame(10, more)).changed == (replace(BTC, contracts=Decimal(3)),)


def test_one_that_a_frame_opens_is_read_for_what_the_frame_does_not_say() -> None:
    bare = replace(BTC, leverage=None)
    merged = merge_positions(PositionsState(), frame(10, bare))
    assert (merged.changed, merged.ask) == ((bare,), "BTC/USDT:USDT was opened")
    assert merge_positions(merged.state, answer(10.5, BTC)).changed == (BTC,)
