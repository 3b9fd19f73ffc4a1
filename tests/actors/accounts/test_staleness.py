"""What an account's status says of amounts that may not hold any more, in virtual time."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from indexer.domain.accounts.amounts import Amounts, Slot
from indexer.domain.accounts.facts import AccountStale
from indexer.domain.health.status import AccountStatus
from indexer.errors import VenueUnreachable
from tests.actors.accounts.fakes import FakeVenue, Stage, amount
from tests.sim.clock import play

BTC = Slot("spot", "BTC")


def _account(stage: Stage) -> AccountStatus:
    assert stage.status.account is not None
    return stage.status.account


def test_what_an_earlier_life_knew_is_stale_at_once_until_the_first_answer_of_this_one() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as first:
            await asyncio.sleep(1)
        await asyncio.sleep(60)
        venue = FakeVenue(streams=False, BTC="1")
        venue.ill = {"spot": VenueUnreachable("HTTP 503")}
        async with Stage(venue, first.log) as second:
            assert _account(second).stale == ("spot",)
            await asyncio.sleep(10)
            assert _account(second).stale == ("spot",)
            assert not any(isinstance(fact, AccountStale) for fact in second.facts), "a start is no outage"
            venue.ill = {}
            await asyncio.sleep(10)
            assert (_account(second).stale, second.state) == ((), "live")

    play(story())


def test_after_a_short_restart_nothing_is_stale_before_three_polls_are_over() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as first:
            await asyncio.sleep(1)
        venue = FakeVenue(streams=False, BTC="1")
        venue.ill = {"spot": VenueUnreachable("HTTP 503")}
        async with Stage(venue, first.log) as second:
            await asyncio.sleep(5)
            assert _account(second).stale == ()
            await asyncio.sleep(10)
            assert _account(second).stale == ("spot",)

    play(story())


def test_a_stream_that_talks_says_nothing_of_what_an_earlier_life_knew() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as first:
            await asyncio.sleep(1)
        await asyncio.sleep(60)
        venue = FakeVenue(BTC="1")
        venue.ill = {"spot": VenueUnreachable("HTTP 503")}
        async with Stage(venue, first.log) as second:
            await asyncio.sleep(10)
            assert _account(second).stale == ("spot",)
            venue.ill = {}
            await asyncio.sleep(10)
            assert _account(second).stale == ()

    play(story())


def test_an_amount_that_is_kept_out_marks_the_old_one_and_says_why() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1", USDT="5")) as stage:
            stage.venue.truth = {"BTC": Amounts(Decimal("NaN"), None, Decimal("NaN")), "USDT": amount("6")}
            await stage.refresh()
            assert stage.told[-1] == ("USDT", "6")
            assert _account(stage).kept_out == (BTC,)
            assert stage.status.last_error == "BTC of the spot wallet is kept out: free is NaN"
            stage.venue.truth = {"BTC": amount("2"), "USDT": amount("6")}
            await stage.refresh()
            status = stage.shown[-1]
            assert status.last_error is None
            assert _account(stage).kept_out == ()

    play(story())


def test_an_amount_that_is_not_said_marks_the_old_one_also_after_a_restart() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1", USDT="5")) as first:
            first.venue.truth = {"BTC": Amounts(), "USDT": amount("6")}
            await asyncio.sleep(20)
            assert first.told == [("BTC", "1"), ("USDT", "5"), ("USDT", "6")]
            assert first.alerts == [("empty_answer", False)]
            assert _account(first).kept_out == (BTC,)
        async with Stage(first.venue, first.log) as second:
            await asyncio.sleep(1)
            assert _account(second).kept_out == (BTC,)
            second.venue.truth["BTC"] = amount("1")
            await asyncio.sleep(6)
            assert (_account(second).kept_out, second.alerts[-1]) == ((), ("empty_answer", True))

    play(story())
