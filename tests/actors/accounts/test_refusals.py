"""What a refused key means for those who wait for a read, in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from indexer.domain.accounts.amounts import Wallet
from indexer.errors import BadAnswer, BadCredentials, ClockApart, Throttled, VenueUnreachable
from tests.actors.accounts.fakes import FakeVenue, Stage
from tests.sim.clock import play


async def _asked(stage: Stage, after: float) -> tuple[type[BaseException] | None, float]:
    """How a refresh ends that is asked for so much later, and how long it takes."""
    await asyncio.sleep(after)
    clock = asyncio.get_running_loop().time
    began, [end] = clock(), await asyncio.gather(stage.refresh(), return_exceptions=True)
    return (None if end is None else type(end)), clock() - began


def test_who_asks_while_a_read_is_refused_is_told_the_same_at_once() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            await asyncio.sleep(11)
            stage.venue.refuses, stage.venue.delay = frozenset({"spot"}), 0.5
            ends = await asyncio.gather(*(_asked(stage, after) for after in (0.0, 0.1, 0.2)))
            assert [end for end, _ in ends] == [BadCredentials] * 3
            assert max(seconds for _, seconds in ends) < 0.6
            assert stage.state == "suspended"

    play(story())


def test_who_waits_for_all_wallets_is_told_once_the_last_of_them_refuses_the_key() -> None:
    async def story() -> None:
        wallets: tuple[Wallet, ...] = ("spot", "funding")
        async with Stage(FakeVenue(wallets=wallets, streams=False, BTC="1")) as stage:
            await asyncio.sleep(11)
            stage.venue.refuses, stage.venue.delay = frozenset(wallets), 0.5
            ends = await asyncio.gather(*(_asked(stage, after) for after in (0.0, 0.1, 0.2)))
            assert [end for end, _ in ends] == [BadCredentials] * 3
            assert max(seconds for _, seconds in ends) < 0.6

    play(story())


def test_a_refresh_of_a_key_that_is_good_again_is_answered_and_says_nothing_of_the_refusal() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(11)
            stage.venue.refuses = frozenset({"spot"})
            assert (await _asked(stage, 0))[0] is BadCredentials
            stage.venue.refuses = frozenset()
            stage.venue.opening = 3.0
            assert (await _asked(stage, 0))[0] is None
            assert (stage.state, stage.status.last_error) == ("live", None)
            await asyncio.sleep(2.5)
            assert (stage.state, stage.status.last_error) == ("live", None)
            await asyncio.sleep(10)
            assert (stage.state, stage.status.last_error) == ("live", None)

    play(story())


def test_a_key_that_is_refused_after_failures_is_told_to_be_that_alone() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            stage.venue.ill["spot"] = VenueUnreachable("401 Unauthorized")
            await asyncio.sleep(30)
            assert stage.alerts == [("breaker_open", False)]
            stage.venue.ill["spot"] = BadCredentials("401 Unauthorized, while what needs no key is answered")
            await asyncio.sleep(30)
            assert set(stage.alerts[1:]) == {("authentication", False), ("breaker_open", True)}

    play(story())


@pytest.mark.parametrize("kind", [ClockApart, VenueUnreachable, BadAnswer])
def test_a_probe_that_says_nothing_of_the_key_is_repeated_soon_and_lifts_the_suspension(kind: type[Exception]) -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            await _suspended(stage)
            stage.venue.errors = [kind("not about the key") for _ in range(3)]
            tried = len(stage.venue.reads)
            assert (await _asked(stage, 0))[0] is kind
            assert stage.state == "stale"
            await asyncio.sleep(4.5)
            assert stage.state == "live"
            pauses = [after - before for before, after in pairwise(stage.venue.reads[tried : tried + 4])]
            assert pauses == sorted(pauses)
            assert all(0.5 <= pause < 1.6 for pause in pauses)

    play(story())


def test_a_probe_that_is_throttled_is_repeated_when_the_venue_says() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            await _suspended(stage)
            stage.venue.errors = [Throttled("slower", 7.0)]
            tried = len(stage.venue.reads)
            assert (await _asked(stage, 0))[0] is Throttled
            await asyncio.sleep(7.5)
            assert stage.state == "live"
            first, second = stage.venue.reads[tried : tried + 2]
            assert 7.0 <= second - first < 7.5

    play(story())


async def _suspended(stage: Stage) -> None:
    """By a refusal, of a key that is good by now."""
    await asyncio.sleep(11)
    stage.venue.refuses = frozenset({"spot"})
    assert (await _asked(stage, 0))[0] is BadCredentials
    assert stage.state == "suspended"
    stage.venue.refuses = frozenset()
    await asyncio.sleep(60)
    assert stage.state == "suspended"
