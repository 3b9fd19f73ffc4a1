"""One account's actor, in virtual time, on a venue that fails in every way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.accounts.following import Follower
from indexer.domain.accounts.amounts import Slot, Wallet
from indexer.domain.accounts.arrivals import Funding, Moved, Position, StreamOpened
from indexer.domain.accounts.facts import (
    AccountAlert,
    AccountLive,
    AccountStale,
    AssetChanged,
    FundingPaid,
    PositionUpdated,
)
from indexer.domain.accounts.judging import Rules
from indexer.domain.accounts.polling import CONFIRMATIONS
from indexer.domain.accounts.validation import Thresholds
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import exchange_stream
from indexer.errors import BadCredentials, Throttled, VenueUnreachable, WalletUnsupported
from tests.actors.accounts.fakes import NOW, FakeVenue, Stage, amount
from tests.actors.fakes import FakeLog
from tests.domain.accounts.builders import ACCOUNT, TIME
from tests.sim.clock import play


def played(story: Coroutine[Any, Any, None]) -> None:
    play(story)


def test_the_first_read_tells_everything_and_makes_the_account_ready() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1", USDT="5")) as stage:
            assert sorted(stage.told) == [("BTC", "1"), ("USDT", "5")]
            assert stage.state == "live"
            assert stage.status.ready
            assert stage.status.heads == "ws"
            assert [each.seq for each in stage.resumed] == [0]

    played(story())


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

    played(story())


def test_a_wallet_is_first_read_once_its_stream_is_open_and_not_twice() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.opening = 2.0
        async with Stage(venue) as stage:
            await asyncio.sleep(4)
            assert len(venue.reads) == 1
            assert stage.told == [("BTC", "1")]

    played(story())


def test_a_stream_that_does_not_open_keeps_nobody_waiting_for_long() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.opening = 60.0
        async with Stage(venue) as stage:
            await asyncio.sleep(5.5)
            assert stage.state == "live"

    played(story())


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

    played(story())


def test_a_refresh_reads_positions_as_well() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.has_positions = True
        async with Stage(venue) as stage:
            await asyncio.sleep(1)
            venue.open_positions = (Position("BTC/USDT:USDT", "long", Decimal("0.1")),)
            await stage.refresh()
            await asyncio.sleep(1)
            assert [fact.symbol for fact in stage.facts if isinstance(fact, PositionUpdated)] == ["BTC/USDT:USDT"]

    played(story())


def test_reads_are_seldom_while_the_stream_talks_and_often_while_it_does_not() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as talking, Stage(FakeVenue(streams=False, BTC="1")) as silent:
            await asyncio.sleep(180)
            assert len(talking.venue.reads) <= 4
            assert 30 <= len(silent.venue.reads) <= 40

    played(story())


def test_a_change_while_the_stream_is_gone_is_found_within_a_fast_read() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.lose_stream()
            stage.venue.frame(silent=True, BTC="3")
            await asyncio.sleep(6)
            assert stage.told[-1] == ("BTC", "3")
            assert stage.status.heads == "poll"

    played(story())


def test_a_stream_that_gives_no_sign_of_life_is_begun_anew_within_ten_seconds() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            stage.venue.heartbeat = False
            await asyncio.sleep(10)
            assert stage.venue.reopened == ["the stream gives no sign of life"]

    played(story())


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

    played(story())


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

    played(story())


def test_frames_without_end_are_confirmed_no_more_often_than_a_silent_stream_is_read() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            reads = len(stage.venue.reads)
            for total in range(2, 102):
                stage.venue.frame(BTC=str(total))
                await asyncio.sleep(1.7)
            assert len(stage.venue.reads) - reads <= 170 / 5 + CONFIRMATIONS + 170 / 60

    played(story())


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

    played(story())


def test_a_read_that_failed_is_tried_again_before_the_next_is_due() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(100)
            stage.venue.errors = [VenueUnreachable("HTTP 503")]
            stage.venue.frame(silent=True, BTC="2")
            stage.venue.say(Moved(Slot("spot", "BTC"), Decimal(1), 0.0))
            await asyncio.sleep(1)
            assert stage.told[-1] == ("BTC", "2")

    played(story())


def test_what_the_stream_told_waits_no_longer_than_two_seconds_for_a_read_though_some_failed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1", ETH="1")) as stage:
            await asyncio.sleep(100)
            stage.venue.errors = [VenueUnreachable("HTTP 503")] * 4
            stage.venue.frame(timed=False, BTC="0")
            await asyncio.sleep(5)  # 0.5, 1, 1.5 and 1.5 of them are pauses
            assert stage.told[-1] == ("BTC", "0")

    played(story())


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

    played(story())


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

    played(story())


def test_what_may_be_late_is_read_no_sooner_after_reads_that_fail() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(100)
            stage.venue.frame(timed=False, BTC="2")
            await asyncio.sleep(1.5)
            stage.venue.errors = [VenueUnreachable("HTTP 503")] * 2
            reads = len(stage.venue.reads)
            for number in range(60):
                stage.venue.frame(timed=False, BTC=str(10 + number))
                await asyncio.sleep(0.01)
            assert len(stage.venue.reads) - reads <= 2

    played(story())


def test_a_wallet_that_is_empty_as_the_stream_said_without_a_time_is_told_after_two_answers() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(10)
            stage.venue.frame(timed=False, BTC="0")
            await asyncio.sleep(2)
            assert stage.told[-1] == ("BTC", "0")

    played(story())


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

    played(story())


def test_what_is_only_half_told_is_read_and_not_asked_of_the_stream() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.say(Moved(Slot("spot", "BTC"), Decimal(3), 0.0))
            await asyncio.sleep(0.2)
            assert stage.venue.told_again == []

    played(story())


def test_after_trouble_a_change_that_nobody_tells_is_found_within_a_fast_read() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(100)
            stage.venue.lose_stream()
            stage.venue.say(StreamOpened(stage.venue.streamed))
            await asyncio.sleep(10)
            stage.venue.frame(silent=True, BTC="2")
            await asyncio.sleep(6)
            assert stage.told[-1] == ("BTC", "2")
            reads = len(stage.venue.reads)
            await asyncio.sleep(100)
            assert len(stage.venue.reads) - reads < 12

    played(story())


def test_what_came_without_an_amount_is_read_at_once() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.frame(silent=True, BTC="4")
            stage.venue.say(Moved(Slot("spot", "BTC"), Decimal(3), 0.0))
            await asyncio.sleep(0.2)
            assert stage.told[-1] == ("BTC", "4")
            assert stage.venue.reopened == []

    played(story())


def test_an_empty_answer_is_not_believed_and_asked_again_until_the_truth_comes() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1", ETH="2")) as stage:
            stage.venue.answers = [{}, {}, {"BTC": amount("0"), "ETH": amount("0")}]
            await asyncio.sleep(20)
            assert sorted(stage.told) == [("BTC", "1"), ("ETH", "2")]
            assert stage.alerts == [("empty_answer", False), ("empty_answer", True)]
            assert stage.venue.answers == []

    played(story())


def test_an_account_that_was_really_emptied_is_told_within_a_minute_without_a_stream() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1", ETH="2")) as stage:
            stage.venue.truth = {}
            await asyncio.sleep(60)
            assert sorted(stage.told[-2:]) == [("BTC", "0"), ("ETH", "0")]

    played(story())


def test_what_breaks_a_rule_is_kept_out_and_told_as_an_alert() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            stage.venue.truth = {"BTC": amount("-1")}
            await asyncio.sleep(20)
            assert stage.told == [("BTC", "1")]
            assert ("negative_balance", False) in stage.alerts
            stage.venue.truth = {"BTC": amount("2")}
            await asyncio.sleep(6)
            assert stage.told[-1] == ("BTC", "2")
            assert ("negative_balance", True) in stage.alerts

    played(story())


def test_refused_credentials_suspend_the_account_and_are_not_tried_again() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            stage.venue.errors = [BadCredentials("invalid api key")] * 3
            await asyncio.sleep(10)
            reads = len(stage.venue.reads)
            assert stage.state == "suspended"
            assert stage.alerts == [("authentication", False)]
            await asyncio.sleep(600)
            assert len(stage.venue.reads) == reads
            stage.venue.errors.clear()
            await stage.refresh()
            assert stage.state == "live"
            assert stage.alerts[-1] == ("authentication", True)

    played(story())


def test_a_suspended_account_hears_nothing_until_its_key_is_good_again() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(10)
            assert stage.venue.logins == 1
            stage.venue.errors = [BadCredentials("invalid api key")] * 3
            stage.venue.lose_stream()
            stage.venue.frame(BTC="2")  # queued behind, and of a stream that is no more when its turn comes
            await asyncio.sleep(600)
            assert (stage.state, stage.venue.logins) == ("suspended", 1)
            stage.venue.errors.clear()
            await stage.refresh()
            await asyncio.sleep(10)
            stage.venue.frame(BTC="3")
            await asyncio.sleep(1)
            assert (stage.state, stage.venue.logins, stage.told[-1]) == ("live", 2, ("BTC", "3"))

    played(story())


@pytest.mark.parametrize("refused", ["spot", "futures"])
def test_a_key_that_is_refused_for_one_wallet_alone_lacks_a_permission(refused: Wallet) -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures"), streams=False, BTC="1")
        venue.refuses = frozenset({refused})
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            assert (stage.state, stage.alerts) == ("live", [("permissions", False)])
            asked = len(venue.reads)
            venue.refuses = frozenset()
            await asyncio.sleep(700)
            assert stage.alerts[-1] == ("permissions", True)
            assert len(venue.reads) > asked

    played(story())


def test_a_probe_that_is_refused_lets_the_other_wallets_say_what_they_think_of_the_key() -> None:
    """Else nobody is asked any more: the one that was told to wait waits for the probe, which is over."""

    async def story() -> None:
        venue = FakeVenue(wallets=("funding", "earn", "spot"), streams=False, BTC="1")
        venue.streamed, venue.opening = frozenset({"spot"}), 1_000.0
        venue.refuses = frozenset({"earn", "spot"})
        venue.errors = [Throttled("slow down", 6.0)]
        async with Stage(venue) as stage:
            await asyncio.sleep(60)
            assert stage.state == "live"
            assert set(stage.alerts) == {("permissions", False)}

    played(story())


def test_a_key_that_every_wallet_refuses_suspends_the_account_after_each_was_asked_once() -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures", "funding"), streams=False, BTC="1")
        venue.refuses = frozenset(venue.wallets)
        async with Stage(venue) as stage:
            await asyncio.sleep(60)
            assert stage.state == "suspended"
            assert len(venue.reads) == len(venue.wallets)

    played(story())


def test_a_key_that_was_good_for_a_wallet_and_is_refused_there_is_none_any_more() -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures"), streams=False, BTC="1")
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            venue.refuses = frozenset({"futures"})
            await asyncio.sleep(10)
            assert stage.state == "suspended"

    played(story())


def test_what_an_earlier_life_told_to_be_wrong_is_told_once_and_told_to_be_over() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as first:
            first.venue.errors = [BadCredentials("invalid api key")] * 3
            await asyncio.sleep(10)
        ill = FakeVenue(streams=False, BTC="1")
        ill.errors = [BadCredentials("invalid api key")] * 3
        async with Stage(ill, first.log) as second:
            await asyncio.sleep(30)
            assert second.state == "suspended"
            assert second.alerts == [("authentication", False)]
            assert [type(fact) for fact in second.facts if isinstance(fact, AccountStale | AccountLive)] == [
                AccountStale
            ]
        for _ in range(2):
            async with Stage(FakeVenue(streams=False, BTC="1"), first.log) as last:
                await asyncio.sleep(1)
                assert last.state == "live"
                assert last.alerts == [("authentication", False), ("authentication", True)]
                told = [type(fact) for fact in last.facts if isinstance(fact, AccountStale | AccountLive)]
                assert told == [AccountStale, AccountLive]

    played(story())


def test_an_alert_about_a_wallet_that_is_followed_no_longer_is_over() -> None:
    async def story() -> None:
        log = FakeLog()
        alert = AccountAlert(ACCOUNT, "negative_balance", "error", "-1", "margin", "BTC")
        await log.append(Commit("c", exchange_stream(*ACCOUNT), 1, TIME, (alert,)))
        async with Stage(FakeVenue(BTC="1"), log) as stage:
            assert stage.alerts == [("negative_balance", False), ("negative_balance", True)]

    played(story())


def test_the_pause_that_a_venue_asks_for_is_kept_to() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            stage.venue.errors = [Throttled("429", 60.0)]
            await asyncio.sleep(50)
            assert len(stage.venue.reads) == 2
            await asyncio.sleep(20)
            assert len(stage.venue.reads) > 2

    played(story())


def test_a_venue_that_is_down_is_probed_seldom_told_as_stale_and_found_again() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            stage.venue.errors = [VenueUnreachable("HTTP 503")] * 1_000
            await asyncio.sleep(600)
            assert stage.state == "stale"
            assert any(isinstance(fact, AccountStale) for fact in stage.facts)
            assert ("breaker_open", False) in stage.alerts
            assert len(stage.venue.reads) < 55
            stage.venue.errors.clear()
            await asyncio.sleep(60)
            assert stage.state == "live"
            assert any(isinstance(fact, AccountLive) for fact in stage.facts)

    played(story())


def test_a_wallet_of_which_nothing_is_heard_for_long_is_an_alert_at_that_moment_and_over_once_it_is_read() -> None:
    async def story() -> None:
        rules = Rules(thresholds=Thresholds(stale_seconds=100))
        async with Stage(FakeVenue(streams=False, BTC="1"), rules=rules) as stage:
            stage.venue.errors = [VenueUnreachable("HTTP 503")] * 1_000
            await asyncio.sleep(99)
            assert ("stale_data", False) not in stage.alerts
            await asyncio.sleep(2)
            assert ("stale_data", False) in stage.alerts
            stage.venue.errors.clear()
            await stage.refresh()
            await asyncio.sleep(6)
            assert ("stale_data", True) in stage.alerts

    played(story())


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

    played(story())


def test_a_wallet_that_the_key_may_not_read_does_not_keep_the_others_waiting() -> None:
    class Half(FakeVenue):
        async def read(self, wallet: Any, presses: Any) -> Any:
            if wallet == "margin":
                raise WalletUnsupported("the key may not read margin")
            return await super().read(wallet, presses)

    async def story() -> None:
        async with Stage(Half(wallets=("spot", "margin"), BTC="1")) as stage:
            assert stage.status.ready
            assert stage.alerts == [("permissions", False)]

    played(story())


def test_a_burst_of_frames_is_all_in_history_with_few_commits() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            before = len(stage.log.commits)
            for total in range(2, 1_002):
                stage.venue.frame(BTC=str(total))
            await asyncio.sleep(0.1)
            assert stage.told == [("BTC", str(total)) for total in range(1, 1_002)]
            assert len(stage.log.commits) - before <= 5

    played(story())


def test_a_restart_goes_on_with_what_was_committed_and_tells_only_what_differs() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1", ETH="2")) as first:
            first.venue.frame(ETH="3")
            await asyncio.sleep(0.1)
        venue = FakeVenue(BTC="5", ETH="3")
        async with Stage(venue, first.log) as second:
            await asyncio.sleep(1.5)  # one answer so soon after the last word may be older than that
            assert second.told[-1] == ("BTC", "5")
            assert second.told.count(("ETH", "3")) == 1
            assert second.updates[-1].previous == amount("1")

    played(story())


def test_positions_and_funding_are_told_once_also_over_a_restart() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.has_positions = venue.has_fundings = True
        venue.open_positions = (Position("BTC/USDT:USDT", "long", Decimal(1)),)
        venue.paid = (Funding("f1", "BTC/USDT:USDT", "USDT", Decimal("-0.1"), NOW),)
        async with Stage(venue) as first:
            await asyncio.sleep(130)
        async with Stage(venue, first.log) as second:
            await asyncio.sleep(1)
            kinds = [type(fact) for fact in second.facts]
            assert (kinds.count(PositionUpdated), kinds.count(FundingPaid)) == (1, 1)

    played(story())


def test_answers_without_positions_close_them_only_when_they_keep_coming() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.has_positions = True
        venue.open_positions = (Position("BTC/USDT:USDT", "long", Decimal(1)),)
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            venue.position_answers = [()] * 4
            await asyncio.sleep(180)
            sides = [fact.position.side for fact in stage.facts if isinstance(fact, PositionUpdated)]
            assert sides == ["long"]
            asked = len(venue.positions_asked)
            venue.open_positions = ()
            await asyncio.sleep(100)
            sides = [fact.position.side for fact in stage.facts if isinstance(fact, PositionUpdated)]
            assert sides == ["long", "flat"]
            assert len(venue.positions_asked) - asked < 20

    played(story())


def test_a_position_that_the_stream_told_stays_though_a_slow_answer_is_older() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.has_positions = True
        one, two = (Position("BTC/USDT:USDT", "long", Decimal(size)) for size in (1, 2))
        venue.open_positions = (one,)
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            venue.delay, venue.position_answers = 3.0, [(one,)]
            refreshed = asyncio.create_task(stage.refresh())
            await asyncio.sleep(1)
            venue.open_positions = (two,)
            venue.tell_positions(two)
            await refreshed
            await asyncio.sleep(30)
            sizes = [fact.position.contracts for fact in stage.facts if isinstance(fact, PositionUpdated)]
            assert sizes == [1, 2]

    played(story())


def test_funding_payments_of_a_long_absence_are_read_in_parts_without_a_pause() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.has_fundings = True
        venue.funding_page, newest = 10, datetime.now(UTC)
        venue.paid = tuple(
            Funding(f"f{n}", "BTC/USDT:USDT", "USDT", Decimal(1), newest - timedelta(hours=34 - n)) for n in range(35)
        )
        async with Stage(venue) as first:
            await asyncio.sleep(20)
            venue.paid += (Funding("late", "ETH/USDT:USDT", "USDT", Decimal(1), newest - timedelta(minutes=30)),)
            await asyncio.sleep(120)
            names = [fact.funding.id for fact in first.facts if isinstance(fact, FundingPaid)]
            assert names == [*(f"f{n}" for n in range(35)), "late"]
        async with Stage(venue, first.log) as second:
            await asyncio.sleep(120)
            assert [fact.funding.id for fact in second.facts if isinstance(fact, FundingPaid)] == names

    played(story())


def test_funding_is_read_though_positions_cannot_be() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.has_positions = venue.has_fundings = True
        venue.positions_error = VenueUnreachable("HTTP 503")
        venue.paid = (Funding("f1", "BTC/USDT:USDT", "USDT", Decimal("-0.1"), NOW),)
        async with Stage(venue) as stage:
            await asyncio.sleep(5)
            assert [type(fact) for fact in stage.facts].count(FundingPaid) == 1

    played(story())


def test_a_refresh_answers_with_what_was_read_after_it_was_asked_for() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(20)
            stage.venue.frame(silent=True, BTC="9")
            await stage.refresh()
            assert stage.told[-1] == ("BTC", "9")
            assert stage.updates[-1].cause == "refresh"

    played(story())


def test_a_refresh_of_a_venue_that_is_down_says_why() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            stage.venue.errors = [VenueUnreachable("HTTP 503")]
            with pytest.raises(VenueUnreachable):
                await stage.refresh()

    played(story())


def test_what_the_stream_did_not_tell_is_an_alert_as_severe_as_configured() -> None:
    async def story() -> None:
        rules = Rules(thresholds=Thresholds(severities={"source_inconsistency": "error"}))
        async with Stage(FakeVenue(BTC="1"), rules=rules) as stage:
            await asyncio.sleep(10)
            stage.venue.frame(silent=True, BTC="2")
            await stage.refresh()
            await asyncio.sleep(5)
            alerts = [fact for fact in stage.facts if isinstance(fact, AccountAlert)]
            assert [(one.kind, one.severity) for one in alerts if not one.cleared] == [
                ("source_inconsistency", "error")
            ]

    played(story())


@pytest.mark.parametrize("source", ["projected", "log"])
def test_a_change_is_measured_from_what_was_told_so_also_over_a_restart(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.accounts.ledger.RECALLED", 0)

    async def story() -> None:
        async with Stage(FakeVenue(BTC="1000")) as first:
            first.venue.frame(BTC="1009")
            await asyncio.sleep(0.1)
            log = first.log
        second = Stage(FakeVenue(BTC="1009"), log)
        second.books.projected = log.commits[-1].last_seq if source == "projected" else 0
        async with second:
            await asyncio.sleep(10)
            second.venue.frame(BTC="1018")
            await asyncio.sleep(0.1)
            changed = [fact for fact in second.facts if isinstance(fact, AssetChanged)]
            assert [(str(one.previous), str(one.balance)) for one in changed] == [("1000", "1018")]

    played(story())
