"""Frames that Kraken counts: one that is missing is noticed by the next, and brought by a new subscription."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from indexer.clients.exchange.dialects.dialect import Told
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.numbering import RENEW_SECONDS, Numbering
from indexer.demo.venue import Venue
from indexer.demo.venue.faults import NONE
from indexer.domain.accounts.amounts import Slot
from indexer.domain.accounts.arrivals import StreamAlive, StreamLost, Updated
from tests.domain.accounts.builders import amounts
from tests.exchange.conftest import Connect
from tests.exchange.test_listening import listening, told, until


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


async def test_kraken_tells_all_of_it_again_when_it_is_asked_to(venue: Venue, connect: Connect) -> None:
    account = venue.account("kraken")
    venue.truth.deposit(account, "spot", "BTC", "1")
    connection = connect(account)
    async with listening(connection) as arrivals:
        await until(lambda: bool(told(arrivals, Slot("spot", "BTC"))))
        before, began = len(arrivals), asyncio.get_running_loop().time()
        connection.tell_again("spot")
        await until(lambda: told(arrivals[before:], Slot("spot", "BTC")) == [Decimal(1)])
        [first] = [one for one in arrivals[before:] if isinstance(one, Updated)]
        assert first.asked is not None
        assert first.asked >= began


async def test_who_asks_often_is_told_once_more_a_second_later(venue: Venue, connect: Connect) -> None:
    account = venue.account("kraken")
    venue.truth.deposit(account, "spot", "BTC", "1")
    connection = connect(account)
    async with listening(connection) as arrivals:
        await until(lambda: bool(told(arrivals, Slot("spot", "BTC"))))
        before, began = len(arrivals), asyncio.get_running_loop().time()
        connection.tell_again("spot")
        await until(lambda: told(arrivals[before:], Slot("spot", "BTC")) == [Decimal(1)])
        for _ in range(5):
            connection.tell_again("spot")
        await until(lambda: told(arrivals[before:], Slot("spot", "BTC")) == [Decimal(1)] * 2)
        assert RENEW_SECONDS <= asyncio.get_running_loop().time() - began < 2 * RENEW_SECONDS


@pytest.mark.parametrize("exchange", [name for name, dialect in DIALECTS.items() if not dialect.tells_again])
async def test_who_does_not_tell_it_again_is_not_asked(venue: Venue, connect: Connect, exchange: str) -> None:
    connection = connect(venue.account(exchange))
    async with listening(connection) as arrivals:
        for wallet in connection.streamed:
            connection.tell_again(wallet)
        before = arrivals.count(StreamAlive())
        await until(lambda: arrivals.count(StreamAlive()) > before)
        assert not [one for one in arrivals if isinstance(one, StreamLost)]
