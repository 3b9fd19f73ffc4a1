"""What an account hears and reads, and when, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal

import pytest

from actors.accounts.following import Follower
from indexer.domain.accounts.amounts import Slot
from indexer.domain.accounts.arrivals import Moved, StreamOpened
from indexer.domain.accounts.polling import CONFIRMATIONS
from indexer.errors import VenueUnreachable
from tests.actors.accounts.fakes import FakeVenue, Stage, amount
from tests.sim.clock import play


def test_the_first_read_tells_everything_and_makes_the_account_ready() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1", USDT="5")) as stage:
            assert sorted(stage.told) == [("BTC", "1"), ("USDT", "5")]
            assert stage.state == "live"
            assert stage.status.ready
            assert stage.status.heads == "ws"
            assert [each.seq for each in stage.resumed] == [0]

    play(story())


def test_a_frame_is_told_at_once_and_confirmed_by_a_read_when_it_is_quiet() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(10)
            reads = len(stage.venue.reads)
            stage.venue.frame(BTC="2")
            await asyncio.sleep(0.01)
            assert stage.told[-1] == ("BTC", "2")
            await asyncio.sleep(2)
            assert len(stage.venue.reads) == reads + 1
            assert stage.told == [("BTC", "1"), ("BTC", "2")]

    play(story())


def test_a_wallet_is_first_read_once_its_stream_is_open_and_not_twice() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.opening = 2.0
        async with Stage(venue) as stage:
            await asyncio.sleep(4)
            assert len(venue.reads) == 1
            assert stage.told == [("BTC", "1")]

    play(story())


def test_a_stream_that_does_not_open_keeps_nobody_waiting_for_long() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.opening = 60.0
        async with Stage(venue) as stage:
            await asyncio.sleep(5.5)
            assert stage.state == "live"

    play(story())


def test_a_stream_that_opens_while_a_wallet_is_read_has_it_read_once_more() -> None:
    """The answer under way may be from before the stream began to tell: what changed in between is in neither."""

    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.delay = 1.0
            stage.venue.lose_stream()
            await asyncio.sleep(0.5)
            stage.venue.frame(silent=True, BTC="3")
            stage.venue.say(StreamOpened(stage.venue.streamed))
            await asyncio.sleep(5)
            assert stage.told[-1] == ("BTC", "3")

    play(story())


def test_reads_are_seldom_while_the_stream_talks_and_often_while_it_does_not() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as talking, Stage(FakeVenue(streams=False, BTC="1")) as silent:
            await asyncio.sleep(180)
            assert len(talking.venue.reads) <= 4
            assert 30 <= len(silent.venue.reads) <= 40

    play(story())


def test_a_change_while_the_stream_is_gone_is_found_within_a_fast_read() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.lose_stream()
            stage.venue.frame(silent=True, BTC="3")
            await asyncio.sleep(6)
            assert stage.told[-1] == ("BTC", "3")
            assert stage.status.heads == "poll"

    play(story())


def test_a_stream_that_gives_no_sign_of_life_is_begun_anew_within_ten_seconds() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            stage.venue.heartbeat = False
            await asyncio.sleep(10)
            assert stage.venue.reopened == ["the stream gives no sign of life"]

    play(story())


def test_a_stream_that_forgets_to_tell_a_change_is_not_believed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1", ETH="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.frame(silent=True, BTC="7")
            stage.venue.frame(ETH="2")
            await asyncio.sleep(6)
            assert stage.told[-1] == ("BTC", "7")
            assert stage.venue.reopened == ["the stream did not tell that BTC changed"]
            assert stage.counts.kept["drifted"] == 1

    play(story())


def test_a_frame_soon_after_a_read_is_confirmed_when_it_is_quiet_as_well() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1", ETH="1")) as stage:
            await asyncio.sleep(40)
            for total in ("2", "3", "4"):
                stage.venue.frame(BTC=total)
                await asyncio.sleep(1.5)
            reads = len(stage.venue.reads)
            stage.venue.frame(silent=True, ETH="7")
            stage.venue.frame(BTC="5")
            await asyncio.sleep(1.5)
            assert len(stage.venue.reads) > reads
            assert ("ETH", "7") in stage.told

    play(story())


def test_frames_without_end_are_confirmed_no_more_often_than_a_silent_stream_is_read() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            reads = len(stage.venue.reads)
            for total in range(2, 102):
                stage.venue.frame(BTC=str(total))
                await asyncio.sleep(1.7)
            assert len(stage.venue.reads) - reads <= 170 / 5 + CONFIRMATIONS + 170 / 60

    play(story())


def test_an_old_answer_to_a_new_stream_is_asked_about_once_more() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(100)
            stage.venue.lose_stream()
            await asyncio.sleep(0.1)
            stage.venue.frame(silent=True, BTC="2")
            stage.venue.answers = [{"BTC": amount("1")}]  # from a moment before
            stage.venue.say(StreamOpened(stage.venue.streamed))
            await asyncio.sleep(2)
            assert stage.told[-1] == ("BTC", "2")

    play(story())


def test_what_the_stream_told_waits_no_longer_than_two_seconds_for_a_read_though_some_failed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1", ETH="1")) as stage:
            await asyncio.sleep(100)
            stage.venue.errors = [VenueUnreachable("HTTP 503")] * 4
            stage.venue.frame(timed=False, BTC="0")
            await asyncio.sleep(5)  # 0.5, 1, 1.5 and 1.5 of them are pauses
            assert stage.told[-1] == ("BTC", "0")

    play(story())


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_zero_without_a_time_is_read_at_once_and_told_then(*, is_whole: bool) -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1", ETH="1")) as stage:
            await asyncio.sleep(10)
            stage.venue.delay = 0.2
            stage.venue.frame(timed=False, whole=is_whole, BTC="0")
            await asyncio.sleep(0.1)
            assert ("BTC", "0") not in stage.told
            assert stage.venue.told_again == ["spot"]
            await asyncio.sleep(0.2)
            assert stage.told[-1] == ("BTC", "0")

    play(story())


def test_what_contradicts_the_answer_before_is_read_as_soon_as_the_next_one_may_do_so() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(6)  # the stream is open, and a read was answered
            await stage.refresh()
            reads = len(stage.venue.reads) - 1
            for number in range(100):
                stage.venue.frame(timed=False, BTC=str(2 + number))
                await asyncio.sleep(0.05)
            begun = stage.venue.reads[reads:]
            assert all(0.6 < after - before < 0.75 for before, after in itertools.pairwise(begun))
            assert len(begun) > 5

    play(story())


def test_a_wallet_that_is_empty_as_the_stream_said_without_a_time_is_told_after_two_answers() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(10)
            stage.venue.frame(timed=False, BTC="0")
            await asyncio.sleep(2)
            assert stage.told[-1] == ("BTC", "0")

    play(story())


def test_what_cannot_be_confirmed_by_a_read_that_waits_is_asked_of_the_stream() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(10)
            stage.venue.delay = 10
            stage.venue.say(Moved(Slot("spot", "BTC"), Decimal(3), 0.0))
            await asyncio.sleep(0.5)
            stage.venue.frame(BTC="2")
            await asyncio.sleep(0.9)
            assert stage.venue.told_again == []
            await asyncio.sleep(0.3)
            assert stage.venue.told_again == ["spot"]
            await asyncio.sleep(1.5)
            assert stage.venue.told_again == ["spot"]
            stage.venue.frame(BTC="2")  # this may be late as well
            await asyncio.sleep(1.2)
            assert stage.venue.told_again == ["spot", "spot"]

    play(story())


def test_what_is_only_half_told_is_read_and_not_asked_of_the_stream() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.say(Moved(Slot("spot", "BTC"), Decimal(3), 0.0))
            await asyncio.sleep(0.2)
            assert stage.venue.told_again == []

    play(story())


def test_what_came_without_an_amount_is_read_at_once() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.frame(silent=True, BTC="4")
            stage.venue.say(Moved(Slot("spot", "BTC"), Decimal(3), 0.0))
            await asyncio.sleep(0.2)
            assert stage.told[-1] == ("BTC", "4")
            assert stage.venue.reopened == []

    play(story())


def test_a_quiet_account_looks_around_for_its_reads_and_hardly_else(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, look = list[None](), Follower.look_around

    def counted(follower: Follower) -> None:
        looks.append(None)
        look(follower)

    monkeypatch.setattr(Follower, "look_around", counted)

    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(900)
            assert 9 <= len(stage.venue.reads) <= 12
            assert len(looks) <= 45

    play(story())


def test_a_refresh_answers_with_what_was_read_after_it_was_asked_for() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.frame(silent=True, BTC="9")
            await stage.refresh()
            assert stage.told[-1] == ("BTC", "9")
            assert stage.updates[-1].cause == "refresh"

    play(story())


def test_a_start_goes_on_with_the_newest_commit_also_where_the_log_does_not_show_it_at_once() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as first:
            await asyncio.sleep(10)
            first.venue.frame(BTC="2")
            await asyncio.sleep(1)
        first.log.unseen = 3
        async with Stage(FakeVenue(BTC="3"), first.log) as second:
            await asyncio.sleep(10)
            assert [str(fact.previous.total) for fact in second.updates[2:] if fact.previous is not None] == ["2"]

    play(story())
