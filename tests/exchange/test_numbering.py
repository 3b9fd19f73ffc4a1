"""Frames that Kraken counts: one that is missing is noticed by the next, and brought by a new subscription."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.kraken import KRAKEN, Kraken
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.dialects.told import Exchange, Told
from indexer.clients.exchange.listening import Ear
from indexer.clients.exchange.numbering import RENEW_SECONDS, Numbering
from indexer.demo.venue import Account, Venue
from indexer.demo.venue.faults import NONE
from indexer.domain.accounts.amounts import Slot, Wallet
from indexer.domain.accounts.arrivals import Arrival, StreamAlive, StreamLost, Updated
from indexer.errors import VenueUnreachable
from tests.domain.accounts.builders import amounts
from tests.exchange.conftest import Connect
from tests.exchange.test_listening import listening, told, until
from tests.sim.accounts import wall
from tests.sim.accounts.lines import MARKETS, WiredVenues, markets_of, url
from tests.sim.clock import in_virtual_time, play


def frame(number: int, *, first: bool = False) -> Told:
    return Told(number=number, is_first=first)


def heard(*frames: Told) -> Numbering:
    numbering = Numbering().begun()
    for one in frames:
        numbering = numbering.heard(one)
    return numbering


def test_frames_in_their_order_are_whole() -> None:
    assert not heard(frame(1, first=True), frame(2), frame(3)).is_torn


def test_a_hole_tears_it_until_a_new_subscription_has_begun() -> None:
    torn = heard(frame(1, first=True), frame(2), frame(4))
    assert torn.is_torn
    assert torn.heard(frame(5)).is_torn
    assert not torn.begun().heard(frame(1, first=True)).is_torn


def test_what_comes_twice_or_late_is_old_and_tears_nothing() -> None:
    numbering = heard(frame(1, first=True), frame(2), frame(3))
    assert [numbering.is_old(frame(number)) for number in (2, 3, 4)] == [True, True, False]
    assert numbering.heard(frame(2)) == numbering


def test_two_frames_with_one_number_are_both_heard_and_tear_it() -> None:
    """A late one of the last subscription has taken the number of one that is still to come."""
    late = Told({"BTC": amounts("1", "0", "1")}, number=2)
    numbering = heard(frame(1, first=True), late)
    assert numbering.is_old(late)
    assert not numbering.is_old(frame(2))
    assert numbering.heard(frame(2)).is_torn


def test_a_second_beginning_of_one_subscription_is_not_believed_and_tears_it() -> None:
    """One of both is of the subscription before, and nothing says which."""
    numbering = heard(Told({"BTC": amounts("2", "0", "2")}, number=1, is_first=True))
    second = Told({"BTC": amounts("1", "0", "1")}, number=1, is_first=True)
    assert numbering.is_old(second)
    assert numbering.heard(second).is_torn


def test_a_beginning_that_is_overtaken_is_not_believed() -> None:
    numbering = heard(frame(2))
    assert numbering.is_torn
    assert numbering.is_old(frame(1, first=True))
    assert numbering.heard(frame(1, first=True)).is_torn


def test_a_new_subscription_is_asked_for_once_in_a_while() -> None:
    torn = heard(frame(2)).renewing(10.0)
    assert not torn.must_renew(10.0 + RENEW_SECONDS / 2)
    assert torn.must_renew(10.0 + RENEW_SECONDS)


async def test_a_lost_frame_of_kraken_is_made_good_by_the_next_one(venue: Venue, connect: Connect) -> None:
    account = venue.account("kraken")
    venue.truth.deposit(account, "spot", "BTC", "1")
    venue.truth.deposit(account, "spot", "USDT", "1")
    async with listening(connect(account)) as arrivals:
        venue.faults = replace(NONE, drop=1.0)
        venue.truth.deposit(account, "spot", "BTC", "0.25")
        venue.calm()
        venue.truth.deposit(account, "spot", "USDT", "1")
        await until(lambda: told(arrivals, Slot("spot", "BTC"))[-1:] == [Decimal("1.25")])
        venue.truth.deposit(account, "spot", "USDT", "1")
        await until(lambda: told(arrivals, Slot("spot", "USDT"))[-1:] == [Decimal(3)])


SLOT = Slot("spot", "BTC")


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[Venue, Account, ExchangeAccount, list[Arrival]]]:
    """Kraken in virtual time, with 1 BTC that its stream has told."""
    with wall.virtual_time():
        async with Venue("kraken", seed=1, markets=MARKETS, clock=wall.seconds, on_port=False) as venue:
            account, venues = venue.account("kraken"), WiredVenues(venue)
            venue.truth.deposit(account, "spot", "BTC", "1")
            connection = ExchangeAccount(
                KRAKEN, venues, account.credentials, ("spot",), base_url=url("kraken"), now=wall.now
            )
            async with listening(connection) as arrivals:
                await until(lambda: bool(told(arrivals, SLOT)))
                arrivals.clear()
                yield venue, account, connection, arrivals
            await connection.close()
            await venues.close()


def played(story: Coroutine[Any, Any, None]) -> None:
    markets_of("kraken")
    play(story)


def begun(arrivals: list[Arrival]) -> list[float]:
    """When each of the subscriptions was asked for whose beginning was heard."""
    return [one.asked for one in arrivals if isinstance(one, Updated) and one.asked is not None]


def test_kraken_tells_all_of_it_again_when_it_is_asked_to() -> None:
    async def story() -> None:
        async with wired() as (_, _, connection, arrivals):
            asked = asyncio.get_running_loop().time()
            connection.tell_again("spot")
            await asyncio.sleep(0.1)
            assert told(arrivals, SLOT) == [Decimal(1)]
            assert begun(arrivals) == [pytest.approx(asked, abs=0.01)]

    played(story())


def test_who_asks_often_is_told_once_more_a_second_later() -> None:
    async def story() -> None:
        async with wired() as (_, _, connection, arrivals):
            asked = asyncio.get_running_loop().time()
            for _ in range(50):
                connection.tell_again("spot")
                await asyncio.sleep(0.01)
            await asyncio.sleep(5)
            assert begun(arrivals) == pytest.approx([asked, asked + RENEW_SECONDS], abs=0.01)

    played(story())


def test_of_several_subscriptions_the_one_that_begins_may_be_the_oldest() -> None:
    async def story() -> None:
        async with wired() as (venue, _, connection, arrivals):
            asked = asyncio.get_running_loop().time()
            venue.faults = replace(NONE, early_delta=1.0, late_seconds=RENEW_SECONDS * 1.3)
            connection.tell_again("spot")  # what it begins with is late
            await asyncio.sleep(RENEW_SECONDS / 2)
            venue.faults = NONE
            connection.tell_again("spot")  # this one comes before it
            await asyncio.sleep(5)
            assert begun(arrivals) == pytest.approx([asked, asked + 2 * RENEW_SECONDS], abs=0.01)

    played(story())


def test_a_frame_that_may_be_of_the_next_subscription_is_told_whatever_its_number() -> None:
    async def story() -> None:
        async with wired() as (venue, account, connection, arrivals):
            for _ in range(3):
                venue.truth.deposit(account, "spot", "BTC", "1")
                await asyncio.sleep(0.1)
            venue.sockets.mute(pings=True)
            connection.tell_again("spot")  # that it stands, and what it begins with, are lost
            await asyncio.sleep(0.1)
            venue.sockets.unmute()
            arrivals.clear()
            venue.truth.deposit(account, "spot", "BTC", "1")
            await asyncio.sleep(0.1)
            assert told(arrivals, SLOT) == [Decimal(5)]

    played(story())


class _Breaking(Kraken):
    """Ends by itself once it is open."""

    renewed = 0

    async def subscribe(self, exchange: Exchange, wallet: Wallet) -> None:
        exchange.tap({"method": "subscribe", "success": True})
        raise VenueUnreachable(f"{wallet} broke")

    async def renew(self, exchange: Exchange, wallet: Wallet) -> None:  # noqa: ARG002 - it is only counted
        type(self).renewed += 1


@in_virtual_time
async def test_a_stream_that_is_over_is_asked_nothing() -> None:
    """It would open a connection that nobody hears."""
    asked_nothing = replace(KRAKEN, asks_for_orders=False)
    dialect = _Breaking(**{each.name: getattr(asked_nothing, each.name) for each in fields(asked_nothing)})
    exchange = SimpleNamespace(clients={})
    ear = Ear(
        dialect,
        "spot",
        exchange,
        lambda: None,
        lambda _: None,
        lambda: None,
        ping_seconds=1.0,
        knock_seconds=lambda: 0.0,
    )
    with pytest.raises(VenueUnreachable):
        await ear.listen()
    ear.tell_again()
    await asyncio.sleep(10 * RENEW_SECONDS)
    assert dialect.renewed == 0


@pytest.mark.parametrize("exchange", [name for name, dialect in DIALECTS.items() if not dialect.tells_again])
async def test_who_does_not_tell_it_again_is_not_asked(venue: Venue, connect: Connect, exchange: str) -> None:
    connection = connect(venue.account(exchange))
    async with listening(connection) as arrivals:
        for wallet in connection.streamed:
            connection.tell_again(wallet)
        before = arrivals.count(StreamAlive())
        await until(lambda: arrivals.count(StreamAlive()) > before)
        assert not [one for one in arrivals if isinstance(one, StreamLost)]
