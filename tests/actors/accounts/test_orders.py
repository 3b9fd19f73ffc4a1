"""Orders hold what no frame tells: that one came or went is a reason to read, soon and not too often."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from indexer.domain.accounts.amounts import Amounts
from indexer.domain.accounts.arrivals import OrderMoved
from tests.actors.accounts.fakes import FakeVenue, Stage
from tests.sim.clock import play


def _hold(venue: FakeVenue, amount: str) -> None:
    """So much of one BTC waits in orders, and the stream says only that there is one."""
    held = Decimal(amount)
    venue.truth["BTC"] = Amounts(1 - held, held, Decimal(1))
    venue.say(OrderMoved("spot"))


def _free(stage: Stage) -> Decimal | None:
    """As it was told last."""
    return stage.updates[-1].held.amounts.free


def test_what_an_order_holds_is_told_soon() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            reads = len(stage.venue.reads)
            _hold(stage.venue, "0.25")
            await asyncio.sleep(1.5)
            assert _free(stage) == Decimal("0.75")
            await asyncio.sleep(10)
            assert len(stage.venue.reads) == reads + 1
            assert stage.state == "live"

    play(story())


def test_orders_without_end_are_read_as_often_as_a_wallet_without_a_stream() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            reads = len(stage.venue.reads)
            for number in range(300):
                _hold(stage.venue, f"0.{number:03}")
                await asyncio.sleep(0.2)
            assert 11 <= len(stage.venue.reads) - reads <= 14
            await asyncio.sleep(5)
            assert _free(stage) == Decimal("0.701")
            assert not stage.venue.reopened

    play(story())
