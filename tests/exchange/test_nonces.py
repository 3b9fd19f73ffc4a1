"""Requests that a venue takes only in the order of their numbers, though an account asks over several instances."""

from __future__ import annotations

import asyncio

import pytest

from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.nonces import Nonces
from indexer.clients.exchange.pool import Venues
from indexer.demo.venue import Account, Venue
from tests.exchange.conftest import Connect


@pytest.fixture
def main(venue: Venue) -> Account:
    account = venue.account("kraken")
    venue.truth.deposit(account, "spot", "USDT", "1000")
    return account


@pytest.mark.parametrize("apart", [0, -120_000, 120_000])
async def test_a_request_that_another_one_overtook_is_repeated_whatever_the_venues_clock(
    venue: Venue, connect: Connect, main: Account, apart: int
) -> None:
    """What takes the venue's time for ours must not make the next number smaller than what it has seen."""
    first, second = connect(main), connect(main)
    for each in (first, second):
        await each.read("spot")
    venue.shift_clock(apart)
    venue.once("slow", path="BalanceEx")
    slow = asyncio.create_task(first.read("spot"))
    await asyncio.sleep(0.1)
    await second.read("spot")
    assert (await slow).amounts["USDT"].total == 1000
    assert venue.injected["slow"] == 1


async def test_instances_of_one_key_are_numbered_together_and_those_of_another_apart() -> None:
    venues = Venues()
    names = ("mine", "mine", "other")
    made = [venues.exchange(DIALECTS["kraken"], {"apiKey": each, "secret": "eHl6"}) for each in names]
    for each in made:
        each.milliseconds = lambda: 1_000
    told = [each.incrementing_nonce() for each in made for _ in range(2)]
    for each in made:
        await each.close()
    await venues.close()
    assert told == [1_000, 1_001, 1_002, 1_003, 1_000, 1_001]


def test_a_clock_that_goes_back_makes_no_number_smaller() -> None:
    nonces = Nonces()
    assert [nonces.after(now) for now in (1_000, 880, 880, 2_000, 1_999)] == [1_000, 1_001, 1_002, 2_000, 2_001]
