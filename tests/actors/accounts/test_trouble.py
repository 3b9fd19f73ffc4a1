"""A venue that fails is asked again, but not too often."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from indexer.domain.accounts.amounts import Slot
from indexer.domain.accounts.arrivals import Moved, StreamOpened
from indexer.domain.accounts.facts import (
    AccountLive,
    AccountStale,
)
from indexer.errors import Throttled, VenueUnreachable
from tests.actors.accounts.fakes import FakeVenue, Stage
from tests.sim.clock import play


def test_a_read_that_failed_is_tried_again_before_the_next_is_due() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(100)
            stage.venue.errors = [VenueUnreachable("HTTP 503")]
            stage.venue.frame(silent=True, BTC="2")
            stage.venue.say(Moved(Slot("spot", "BTC"), Decimal(1), 0.0))
            await asyncio.sleep(1)
            assert stage.told[-1] == ("BTC", "2")

    play(story())


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

    play(story())


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

    play(story())


def test_the_pause_that_a_venue_asks_for_is_kept_to() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            stage.venue.errors = [Throttled("429", 60.0)]
            await asyncio.sleep(50)
            assert len(stage.venue.reads) == 2
            await asyncio.sleep(20)
            assert len(stage.venue.reads) > 2

    play(story())


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

    play(story())


def test_a_refresh_of_a_venue_that_is_down_says_why() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            stage.venue.errors = [VenueUnreachable("HTTP 503")]
            with pytest.raises(VenueUnreachable):
                await stage.refresh()

    play(story())
