"""Which of two words is the newer one, by the venue's time, by ours, or by neither."""

from __future__ import annotations

from dataclasses import replace

from indexer.domain.accounts.arrivals import Snapshot, Updated
from indexer.domain.accounts.order import (
    LATE_SECONDS,
    MANY_FRAMES,
    OLD_ANSWER_SECONDS,
    SOON_SECONDS,
    TOGETHER_SECONDS,
    WINDOW_SECONDS,
    Lag,
)
from indexer.domain.accounts.state import Merged, restored
from tests.domain.accounts.builders import amounts, held
from tests.domain.accounts.test_state import after, at, frame, totals, whole


def test_a_late_frame_does_not_overwrite_an_answer_that_has_a_newer_time() -> None:
    merged = after(whole(1, venue=0, BTC="1"), whole(4, venue=3, BTC="3"), frame(5, venue=2, BTC="2"))
    assert (totals(merged.state), merged.changed) == ({"BTC": "3"}, ())
    assert merged.ask == "BTC was told late"


def test_an_answer_without_a_time_does_not_take_away_the_time_that_is_known() -> None:
    merged = after(whole(1, BTC="1"), frame(10, BTC="3"), whole(11, BTC="3"), frame(11.5, venue=9, BTC="2"))
    assert (totals(merged.state), merged.changed) == ({"BTC": "3"}, ())


def test_an_answer_with_an_older_time_does_not_take_away_the_newer_one() -> None:
    merged = after(whole(1, BTC="1"), frame(10, BTC="3"), whole(25, venue=8, BTC="3"), frame(26, venue=9, BTC="2"))
    assert merged.changed == ()


def test_an_answer_whose_time_is_older_than_what_a_frame_told_is_asked_again() -> None:
    merged = after(whole(1, venue=0, BTC="1"), frame(10, BTC="3"), whole(12, venue=0, BTC="1"))
    assert (totals(merged.state), merged.changed) == ({"BTC": "3"}, ())
    assert merged.ask is not None


def test_a_time_that_goes_backwards_for_long_is_not_believed_against_what_is_answered() -> None:
    merged = after(whole(1, venue=0, BTC="1"), frame(10, BTC="3"), whole(10.1 + OLD_ANSWER_SECONDS, venue=0, BTC="1"))
    assert totals(merged.state) == {"BTC": "1"}


def test_an_answer_with_the_time_of_a_frame_says_what_that_frame_said() -> None:
    merged = after(whole(1, venue=0, BTC="1"), whole(4, venue=3, BTC="3"), frame(5, venue=3, BTC="2"))
    assert (merged.changed, merged.ask) == ((), "BTC was told late")


def test_each_asset_has_a_time_of_its_own() -> None:
    snapshot = replace(whole(4, venue=9, BTC="3", ETH="3"), times={"ETH": at(2.0)})
    merged = after(whole(1, venue=0, BTC="1", ETH="1"), snapshot, frame(5, BTC="2", ETH="2"))
    assert totals(merged.state) == {"BTC": "3", "ETH": "2"}
    assert merged.state.known["ETH"].newest == at(5)


def test_a_frame_that_took_longer_than_others_happened_before_the_answer_that_it_contradicts() -> None:
    merged = after(whole(1, BTC="1"), frame(2, BTC="2"), whole(11, BTC="3"), frame(11.5, venue=10, BTC="4"))
    assert (merged.changed, merged.ask) == ((), "BTC was told late")


def test_how_long_frames_take_is_known_from_those_before_the_first_answer_as_well() -> None:
    late = (frame(5, venue=2.5, BTC="2"), frame(5.5, venue=3, BTC="2.5"))
    merged = after(frame(0.5, BTC="1"), whole(4, BTC="3"), *late)
    assert (merged.changed, merged.ask) == ((), "BTC was told late")


def test_a_few_frames_that_all_came_late_are_not_taken_for_as_fast_as_frames_are() -> None:
    late = [frame(2 + n, venue=n - 0.5, BTC=str(n)) for n in range(3)]
    told = after(whole(0.5, BTC="9"), *late, whole(10, BTC="3")).state
    merged = after(frame(10.5, venue=8, BTC="4"), state=told)
    assert (merged.changed, merged.ask) == ((), "BTC may have been told late")
    assert totals(after(frame(12.7, venue=10.2, BTC="4"), state=told).state) == {"BTC": "4"}


def test_a_venue_whose_clock_is_apart_is_not_late_once_enough_frames_have_shown_it() -> None:
    for apart in (42, -42):
        told = after(whole(0.5, BTC="9"), *_frames_apart(apart, MANY_FRAMES), whole(50, BTC="3")).state
        assert totals(after(frame(50.5, venue=50.5 - apart, BTC="4"), state=told).state) == {"BTC": "4"}
        few = after(whole(0.5, BTC="9"), *_frames_apart(apart, MANY_FRAMES - 1), whole(50, BTC="3")).state
        merged = after(frame(50.5, venue=50.5 - apart, BTC="4"), state=few)
        assert (merged.changed, merged.ask) == ((), "BTC may have been told late")
        late = after(frame(50.2 + LATE_SECONDS, venue=50.2 + LATE_SECONDS - apart, BTC="4"), state=few)
        assert totals(late.state) == {"BTC": "4"}


def test_a_frame_without_a_time_is_not_told_against_an_answer_from_just_before() -> None:
    merged = after(whole(1, BTC="1"), frame(1 + LATE_SECONDS, timed=False, BTC="2"))
    assert (merged.changed, merged.ask) == ((), "BTC may have been told late")
    later = after(whole(1, BTC="1"), frame(1.2 + LATE_SECONDS, timed=False, BTC="2"))
    assert totals(later.state) == {"BTC": "2"}


def test_a_frame_without_a_time_follows_the_frame_before_it() -> None:
    merged = after(whole(1, BTC="1"), frame(5, timed=False, BTC="2"), frame(5.1, timed=False, BTC="3"))
    assert totals(merged.state) == {"BTC": "3"}


def test_a_frame_without_a_time_is_unsure_though_another_frame_has_repeated_the_answer() -> None:
    repeated = after(whole(1, BTC="1"), frame(1.5, timed=False, BTC="1"))
    assert repeated.ask is None
    merged = after(frame(2, timed=False, BTC="2"), state=repeated.state)
    assert (merged.changed, merged.ask) == ((), "BTC may have been told late")


def test_a_zero_without_a_time_is_asked_for_before_it_is_told() -> None:
    merged = after(whole(1, BTC="1"), frame(100, timed=False, BTC="2"), frame(200, timed=False, BTC="0"))
    assert (totals(merged.state), merged.ask) == ({"BTC": "2"}, "BTC may have been told late")
    assert totals(after(whole(200.1, BTC="0", ETH="1"), state=merged.state).state) == {"BTC": "0", "ETH": "1"}


def test_a_wallet_that_is_empty_as_frames_without_a_time_said_needs_fewer_answers() -> None:
    gone = (frame(100, timed=False, BTC="0"), frame(100, timed=False, ETH="0"))
    empty = [whole(asked) for asked in (100.1, 102.0, 104.0)]
    held = after(whole(1, BTC="1", ETH="1"))
    assert totals(after(*gone, *empty[:1], state=held.state).state) == {"BTC": "1", "ETH": "1"}
    assert totals(after(*gone, *empty[:2], state=held.state).state) == {"BTC": "0", "ETH": "0"}
    assert totals(after(*gone[:1], *empty, state=held.state).state) == {"BTC": "1", "ETH": "1"}
    returned = frame(100.05, venue=100, ETH="2")
    assert totals(after(*gone, returned, *empty, state=held.state).state) == {"BTC": "1", "ETH": "2"}


def test_what_a_frame_without_a_time_said_to_be_gone_has_to_be_missing_once() -> None:
    gone = after(whole(1, BTC="1", ETH="1"), frame(100, timed=False, BTC="0"), whole(100.1, ETH="1"))
    assert totals(gone.state) == {"BTC": "0", "ETH": "1"}
    there = after(whole(1, BTC="1", ETH="1"), frame(100, timed=False, BTC="0"), whole(101, BTC="1", ETH="1"))
    assert totals(after(whole(102, ETH="1"), state=there.state).state) == {"BTC": "1", "ETH": "1"}


def test_a_zero_with_a_time_or_at_the_beginning_of_a_subscription_is_told_at_once() -> None:
    assert totals(after(whole(1, BTC="1"), frame(100, BTC="0")).state) == {"BTC": "0"}
    first = replace(frame(100, timed=False, BTC="0"), asked=99.9)
    assert totals(after(whole(1, BTC="1"), first).state) == {"BTC": "0"}


def test_frames_of_one_moment_follow_each_other_and_one_that_comes_later_is_unsure() -> None:
    """Venues count milliseconds, in which much may happen; what happened then was told then."""
    told = after(whole(1, BTC="1"), frame(10, venue=9, BTC="2")).state
    assert totals(after(frame(10 + TOGETHER_SECONDS / 2, venue=9, BTC="3"), state=told).state) == {"BTC": "3"}
    late = after(frame(10.2, venue=9, BTC="3"), state=told)
    assert (totals(late.state), late.ask) == ({"BTC": "2"}, "BTC may have been told late")
    assert totals(after(frame(10.1 + LATE_SECONDS, venue=9, BTC="3"), state=told).state) == {"BTC": "3"}


def test_a_frame_from_while_an_answer_was_under_way_is_neither_older_nor_newer() -> None:
    answer = replace(whole(10, BTC="3"), received=12.0)
    merged = after(whole(1, BTC="1"), frame(2, venue=2, BTC="2"), answer, frame(12.1, venue=11, BTC="4"))
    assert (merged.changed, merged.ask) == ((), "BTC may have been told late")


def test_what_a_subscription_begins_with_is_newer_than_an_answer_from_before_it() -> None:
    first = replace(frame(2, timed=False, BTC="2"), asked=1.5)
    assert totals(after(whole(1, BTC="1"), first).state) == {"BTC": "2"}
    beside = replace(first, asked=0.9)
    assert after(whole(1, BTC="1"), beside).ask == "BTC may have been told late"
    late = replace(frame(100, timed=False, BTC="3"), asked=49.0)
    assert after(whole(1, BTC="1"), frame(50, BTC="2"), late).ask == "BTC may have been told late"


def test_a_late_frame_of_the_subscription_before_does_not_overwrite_what_the_next_one_begins_with() -> None:
    """The one has a time, the other has none."""
    first = replace(frame(50, timed=False, BTC="5"), asked=49.9)
    begun = after(whole(0.5, BTC="9"), *_frames_apart(40.1, MANY_FRAMES), first).state
    merged = after(frame(50.1, venue=9.0, BTC="4"), state=begun)
    assert (totals(merged.state), merged.ask) == ({"BTC": "5"}, "BTC was told late")
    assert totals(after(frame(50.1, venue=10.0, BTC="4"), state=begun).state) == {"BTC": "4"}
    between = after(frame(50.1, venue=9.85, BTC="4"), state=begun)
    assert (totals(between.state), between.ask) == ({"BTC": "5"}, "BTC may have been told late")


def test_an_answer_without_a_time_asked_right_after_a_newer_word_is_asked_again() -> None:
    soon = after(whole(1, BTC="1"), frame(10, BTC="3"), whole(9.9 + SOON_SECONDS, BTC="1"))
    assert (soon.changed, soon.ask) == ((), "BTC may have been told otherwise before")
    assert totals(after(whole(10.1 + SOON_SECONDS, BTC="4"), state=soon.state).state) == {"BTC": "4"}


def test_an_answer_that_only_says_more_than_a_frame_is_believed_at_once() -> None:
    total = replace(frame(10), amounts={"BTC": amounts(total="3")})
    assert after(whole(1, BTC="1"), total, whole(10.1, BTC="3")).changed[0].amounts == amounts("3", "0", "3")


def test_what_an_earlier_life_heard_is_not_overwritten_by_something_older() -> None:
    stored = {"USDT": replace(held("3"), venue_time=at(10))}
    merged = after(whole(10.2, venue=9, USDT="2"), state=restored(stored, {"USDT": 10.0}))
    assert (merged.changed, merged.ask) == ((), "USDT was told otherwise while we asked")


def test_how_long_frames_take_is_forgotten_with_time() -> None:
    lag = Lag().with_one(-5, 0).with_one(2, 1)
    assert lag.beyond(3) == 8
    assert lag.with_one(2, WINDOW_SECONDS).beyond(3) == 8
    assert lag.with_one(2, WINDOW_SECONDS).with_one(2, 2 * WINDOW_SECONDS).beyond(3) == 1
    assert lag.with_one(2, 3 * WINDOW_SECONDS).beyond(3) == 1


def test_how_long_a_frame_may_have_taken_is_known_from_many_in_this_window_and_the_one_before() -> None:
    few = _lags(2.0, MANY_FRAMES - 1)
    assert (few.beyond(2.5), few.at_most(2.5)) == (0.5, 2.5)
    many = few.with_one(2.0, WINDOW_SECONDS)
    assert many.at_most(2.5) == 0.5
    assert many.with_one(2.0, 3 * WINDOW_SECONDS).at_most(2.5) == 2.5


def _lags(seconds: float, many: int) -> Lag:
    lag = Lag()
    for _ in range(many):
        lag = lag.with_one(seconds, 0)
    return lag


def _frames_apart(seconds: float, many: int) -> list[Updated]:
    """As fast as they can be, from a venue whose clock is so far behind ours."""
    return [frame(2 + n, venue=2 + n - seconds, BTC=str(n)) for n in range(many)]


def stepped_back(*arrivals: Snapshot | Updated) -> Merged:
    """At 10 a frame told 2; then the venue's clock was set back by five seconds."""
    return after(whole(1, venue=0, BTC="1"), frame(10, BTC="2"), *arrivals)


def test_what_a_frame_and_an_answer_say_with_one_older_time_is_believed_soon_after_the_clock_went_back() -> None:
    late = stepped_back(frame(10.3, venue=5.3, BTC="3"))
    assert (late.changed, late.ask) == ((), "BTC was told late")
    too_soon = after(whole(10.5, venue=5.3, BTC="3"), state=late.state)
    assert (too_soon.changed, too_soon.ask is None) == ((), False)
    told = after(whole(10.1 + SOON_SECONDS, venue=5.3, BTC="3"), state=too_soon.state)
    assert (totals(told.state), told.ask) == ({"BTC": "3"}, None)


def test_once_the_clock_went_back_frames_are_told_at_once_again() -> None:
    told = stepped_back(frame(10.3, venue=5.3, BTC="3"), whole(11, venue=5.3, BTC="3"))
    assert totals(after(frame(12, venue=7, BTC="4"), state=told.state).state) == {"BTC": "4"}


def test_while_many_frames_come_an_answer_is_believed_that_says_what_any_of_them_said() -> None:
    late = [frame(10.2 + n / 10, venue=5.2 + n / 10, BTC=str(3 + n)) for n in range(5)]
    told = stepped_back(*late, whole(10.8, venue=5.4, BTC="5"))
    assert totals(told.state) == {"BTC": "5"}
    assert totals(after(whole(11.5, venue=5.6, BTC="7"), state=told.state).state) == {"BTC": "7"}


def test_an_answer_that_says_otherwise_than_the_late_frame_is_not_believed_for_it() -> None:
    merged = stepped_back(frame(10.3, venue=5.3, BTC="3"), whole(11, venue=5.2, BTC="9"))
    assert (totals(merged.state), merged.changed) == ({"BTC": "2"}, ())


def test_a_frame_that_was_late_indeed_is_forgotten_with_the_next_word() -> None:
    merged = stepped_back(frame(10.3, venue=9, BTC="1.5"), frame(10.4, BTC="4"), whole(12, venue=9, BTC="1.5"))
    assert (totals(merged.state), merged.changed) == ({"BTC": "4"}, ())


def test_after_an_older_time_was_believed_at_last_frames_with_such_times_are_told() -> None:
    told = stepped_back(whole(10.1 + OLD_ANSWER_SECONDS, venue=15, BTC="3"))
    set_back = after(whole(21 + OLD_ANSWER_SECONDS, venue=9, BTC="4"), frame(32, venue=10, BTC="5"), state=told.state)
    assert totals(set_back.state) == {"BTC": "5"}


def test_a_frame_from_before_the_clock_went_back_that_comes_after_it_is_asked_about() -> None:
    told = stepped_back(frame(10.3, venue=5.3, BTC="3"), whole(11, venue=5.3, BTC="3"))
    merged = after(frame(11.5, venue=9.9, BTC="1.5"), state=told.state)
    assert (merged.changed, merged.ask) == ((), "BTC may have been told late")
    assert after(whole(12.2, venue=5.3, BTC="3"), state=merged.state).ask is None
