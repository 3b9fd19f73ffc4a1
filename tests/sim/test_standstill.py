"""Two whole providers, and one of them stands still, lags for good or hangs."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from structlog.testing import capture_logs

from tests.sim.clock import play
from tests.sim.scene import EACH, Sockets, scene


@EACH
def test_a_preferred_provider_that_stands_still_is_left_and_taken_back_when_it_goes_on(sockets: Sockets) -> None:
    async def story() -> None:
        async with scene(sockets) as on:
            with capture_logs() as lines:
                on.first.is_stuck = True
                await on.mine(6)
                assert await on.handled_after() < 1
                await on.mine(30)
                assert await on.handled_after() < 1
                assert (on.status.state, on.status.endpoint) == ("live", "two.sim")
                on.first.catch_up()
                await on.mine(30)
                assert "one.sim" in [await on.asked() for _ in range(5)]
                if sockets != "none":
                    assert on.status.heads == "ws"
            about = [line for line in lines if line.get("endpoint") == "one.sim"]
            told = [line["event"] for line in about if line["log_level"] != "debug"]
            assert told.count("endpoint_set_aside") == told.count("endpoint_back") == 1
            assert len(told) <= 5

    play(story())


@pytest.mark.parametrize("seconds", [0.5, 2.0, 12.0])
@pytest.mark.parametrize("is_regular", [True, False], ids=["regular", "irregular"])
def test_one_that_is_polled_and_stands_still_holds_up_no_head_for_long(seconds: float, is_regular: bool) -> None:
    async def story() -> None:
        async with scene("none", seconds) as on:
            pauses = Random(3)  # noqa: S311 - the same story every time
            for _ in range(3):
                on.first.is_stuck = True
                for block in range(20):
                    await on.mine(1, seconds if is_regular else pauses.expovariate(1 / seconds))
                    await on.handled_within(
                        1.5 + seconds / (4 if is_regular else 2) if block else max(3 * seconds, 3.0)
                    )
                assert on.status.endpoint == "two.sim"
                on.first.catch_up()
                await on.mine(20, seconds)
            assert on.status.state == "live"

    play(story())


def test_one_that_is_polled_and_stands_still_is_left_at_the_first_block_that_it_misses() -> None:
    async def story() -> None:
        async with scene("none", 12.0) as on:
            on.first.is_stuck = True
            on.world.mine()
            on.fleet.hear()
            with capture_logs() as lines:
                await asyncio.sleep(36)
            assert "endpoint_set_aside" in [line["event"] for line in lines if line.get("endpoint") == "one.sim"]
            assert on.status.block == on.world.tip.number

    play(story())


@EACH
@pytest.mark.parametrize("blocks", [3, 50])
def test_a_preferred_provider_that_is_behind_for_good_is_found_within_a_minute(sockets: Sockets, blocks: int) -> None:
    async def story() -> None:
        async with scene(sockets) as on:
            on.first.lag_blocks = blocks
            await on.mine(30)
            for _ in range(30):
                await on.mine(1)
                assert await on.handled_after() < 1
            assert on.status.endpoint == "two.sim"

    play(story())


@EACH
def test_one_that_stands_still_on_a_block_that_was_orphaned_is_left_as_well(sockets: Sockets) -> None:
    async def story() -> None:
        async with scene(sockets) as on:
            on.first.is_stuck = True
            del on.world.canonical[-2:]
            await on.mine(12)
            assert await on.handled_after() < 1
            assert on.status.state == "live"

    play(story())


@EACH
def test_one_that_is_ahead_on_a_branch_of_its_own_is_not_followed_while_ours_goes_on(sockets: Sockets) -> None:
    async def story() -> None:
        async with scene(sockets) as on:
            other = on.fleet._endpoints["two"].machines[0]
            other.is_stuck = True
            fork = on.world.canonical[-3]
            for _ in range(30):
                fork = on.world.grow(fork)
            other.adopt(fork)
            for _ in range(40):
                assert await on.asked() == "one.sim"
                assert on.status.state == "live"

    play(story())


@pytest.mark.parametrize("sockets", ["first", "both"])
@pytest.mark.parametrize("seconds", [0.5, 2.0, 12.0])
def test_the_next_heads_are_handled_within_a_second_when_a_whole_provider_hangs(
    sockets: Sockets, seconds: float
) -> None:
    async def story() -> None:
        async with scene(sockets, seconds) as on:
            await asyncio.sleep(seconds / 2)
            on.fleet._endpoints["one"].fail_for(1_000, hangs=True)
            for host, line in on.fleet._lines:
                if host == "one":
                    line.fall_silent()
            await asyncio.sleep(seconds / 2)
            on.world.mine()
            on.fleet.hear()
            assert await on.handled_after() < 1
            for _ in range(10):
                await on.mine(1, seconds)
                assert await on.handled_after() < 1
            assert on.status.state == "live"

    play(story())


@pytest.mark.parametrize("blocks", range(1, 8))
@pytest.mark.parametrize("seconds", [1.0, 12.0])
def test_the_next_head_is_handled_within_a_second_also_when_it_hangs_early_in_a_life(
    blocks: int, seconds: float
) -> None:
    """The only websocket is the preferred one's, and few heads were heard from it."""

    async def story() -> None:
        async with scene("first", seconds, blocks=blocks) as on:
            on.fleet._endpoints["one"].fail_for(1_000, hangs=True)
            for _, line in on.fleet._lines:
                line.fall_silent()
            await on.mine(1, seconds)
            assert await on.handled_after() < 1

    play(story())


def test_a_chain_that_comes_irregularly_costs_few_questions_more() -> None:
    """Two providers with a websocket each, both well: whoever is asked beside them is asked for nothing."""

    async def story() -> None:
        async with scene("both") as on:
            pauses = Random(2)  # noqa: S311 - the same story every time
            second = on.fleet._endpoints["two"]
            asked = second.asked
            for _ in range(400):
                await on.mine(1, pauses.expovariate(1 / 5))
            await on.handled_after()
            assert second.asked - asked < 200

    play(story())


def test_a_provider_that_is_slow_to_announce_stays_preferred() -> None:
    async def story() -> None:
        async with scene("both") as on:
            on.first.lag_seconds = 0.3
            await on.mine(100)
            assert [await on.asked() for _ in range(5)].count("one.sim") >= 3
            assert on.status.heads == "ws"

    play(story())
