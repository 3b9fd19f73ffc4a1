"""What is not believed, or broke a rule, and what is told of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from indexer.domain.accounts.amounts import Amounts, Slot
from indexer.domain.accounts.facts import (
    AccountAlert,
    AccountLive,
    AccountStale,
)
from indexer.domain.accounts.judging import Rules
from indexer.domain.accounts.validation import Thresholds
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import exchange_stream
from indexer.errors import BadCredentials, VenueUnreachable
from tests.actors.accounts import fakes
from tests.actors.accounts.fakes import NOW, FakeVenue, Stage, amount
from tests.actors.fakes import FakeLog
from tests.domain.accounts.builders import ACCOUNT, TIME
from tests.sim.clock import play


def test_an_empty_answer_is_not_believed_and_asked_again_until_the_truth_comes() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1", ETH="2")) as stage:
            stage.venue.answers = [{}, {}, {"BTC": amount("0"), "ETH": amount("0")}]
            await asyncio.sleep(20)
            assert sorted(stage.told) == [("BTC", "1"), ("ETH", "2")]
            assert stage.alerts == [("empty_answer", False), ("empty_answer", True)]
            assert stage.venue.answers == []

    play(story())


def test_an_account_that_was_really_emptied_is_told_within_a_minute_without_a_stream() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1", ETH="2")) as stage:
            stage.venue.truth = {}
            await asyncio.sleep(60)
            assert sorted(stage.told[-2:]) == [("BTC", "0"), ("ETH", "0")]

    play(story())


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

    play(story())


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

    play(story())


def test_an_alert_about_a_wallet_that_is_followed_no_longer_is_over() -> None:
    async def story() -> None:
        log = FakeLog()
        alert = AccountAlert(ACCOUNT, "negative_balance", "error", "-1", "margin", "BTC")
        await log.append(Commit("c", exchange_stream(*ACCOUNT), 1, TIME, (alert,)))
        async with Stage(FakeVenue(BTC="1"), log) as stage:
            assert stage.alerts == [("negative_balance", False), ("negative_balance", True)]

    play(story())


def test_a_clock_that_is_set_forward_makes_nothing_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        rules = Rules(thresholds=Thresholds(stale_seconds=100))
        async with Stage(FakeVenue(streams=False, BTC="1"), rules=rules) as stage:
            for step in range(1, 40):
                await asyncio.sleep(7)
                monkeypatch.setattr(fakes, "NOW", NOW + timedelta(hours=2 * step))
            assert stage.alerts == []

    play(story())


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

    play(story())


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

    play(story())


def _negative(stage: Stage) -> list[bool]:
    """Of each word on it whether it is over."""
    return [is_over for kind, is_over in stage.alerts if kind == "negative_balance"]


def test_what_is_kept_out_stays_so_whatever_the_stream_tells_of_other_assets() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1", USDT="100")
        async with Stage(venue) as stage:
            await asyncio.sleep(40)
            venue.frame(BTC="-5")
            await asyncio.sleep(0.1)
            for total in ("101", "102", "103"):
                venue.frame(USDT=total)
                await asyncio.sleep(0.1)
            assert stage.status.account is not None
            assert stage.status.account.kept_out == (Slot("spot", "BTC"),)
            assert _negative(stage) == [False]
            await asyncio.sleep(200)
            assert _negative(stage) == [False], "reads say the same"
            venue.frame(BTC="2")
            await asyncio.sleep(0.1)
            assert _negative(stage) == [False, True]

    play(story())


def test_an_asset_without_its_amount_stays_unknown_whatever_the_stream_tells_of_others() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1", USDT="100")
        async with Stage(venue) as stage:
            await asyncio.sleep(40)
            venue.truth["BTC"] = Amounts()
            await stage.refresh()
            venue.frame(USDT="101")
            await asyncio.sleep(0.1)
            assert stage.status.account is not None
            assert stage.status.account.kept_out == (Slot("spot", "BTC"),)
            assert stage.alerts == [("empty_answer", False)]

    play(story())


def test_what_was_wrong_from_the_first_is_over_once_it_is_gone_from_the_wallet() -> None:
    async def story() -> None:
        venue = FakeVenue(streams=False, BTC="1", DUST="-5")
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            assert _negative(stage) == [False]
            del venue.truth["DUST"]
            await asyncio.sleep(20)
            assert _negative(stage) == [False, True]
            assert stage.status.last_error is None

    play(story())
