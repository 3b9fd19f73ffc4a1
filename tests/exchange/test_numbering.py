"""Frames that Kraken counts: one that is missing is noticed by the next, and brought by a new subscription."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from indexer.clients.exchange.dialects.dialect import Told
from indexer.clients.exchange.numbering import RENEW_SECONDS, Numbering
from indexer.demo.venue import Venue
from indexer.demo.venue.faults import NONE
from indexer.domain.accounts.amounts import Slot
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
