"""What is committed, positions and funding as well, also over a restart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from indexer.domain.accounts.arrivals import Funding, Position
from indexer.domain.accounts.facts import (
    AssetChanged,
    FundingPaid,
    PositionUpdated,
)
from indexer.errors import VenueUnreachable
from tests.actors.accounts.fakes import NOW, FakeVenue, Stage, amount
from tests.sim.clock import play


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

    play(story())


def test_a_burst_of_frames_is_all_in_history_with_few_commits() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            before = len(stage.log.commits)
            for total in range(2, 1_002):
                stage.venue.frame(BTC=str(total))
            await asyncio.sleep(0.1)
            assert stage.told == [("BTC", str(total)) for total in range(1, 1_002)]
            assert len(stage.log.commits) - before <= 5

    play(story())


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

    play(story())


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

    play(story())


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

    play(story())


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

    play(story())


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

    play(story())


def test_funding_is_read_though_positions_cannot_be() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.has_positions = venue.has_fundings = True
        venue.positions_error = VenueUnreachable("HTTP 503")
        venue.paid = (Funding("f1", "BTC/USDT:USDT", "USDT", Decimal("-0.1"), NOW),)
        async with Stage(venue) as stage:
            await asyncio.sleep(5)
            assert [type(fact) for fact in stage.facts].count(FundingPaid) == 1

    play(story())


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

    play(story())
