"""Whole providers take every question and answer none, just when a reorg comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from tests.sim.clock import play
from tests.sim.scene import EACH, Scene, Sockets, scene

NAMES = ("one", "two", "three")
LONG = 1_000.0
DEPTHS = pytest.mark.parametrize("depth", [1, 4])
LATER = pytest.mark.parametrize("later", [0.0, 0.3, 3.0])


def hang(on: Scene, names: Sequence[str], *, falls_silent: bool = False) -> None:
    for name in names:
        on.fleet._endpoints[name].hang_for(LONG)
    for host, line in on.fleet._lines if falls_silent else ():
        if host in names:
            line.fall_silent()


async def reorg(on: Scene, depth: int) -> float:
    """Seconds until the newest block of the new branch is handled; meanwhile nobody is told that it is stale."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    on.world.reorg(depth)
    on.fleet.hear()
    while on.status.block != on.world.tip.number:
        await asyncio.sleep(0.02)
        assert on.status.state == "live"
        assert loop.time() - began < 60
    return loop.time() - began


@EACH
@DEPTHS
@LATER
def test_a_reorg_is_followed_in_about_a_second_while_the_preferred_one_hangs(
    sockets: Sockets, depth: int, later: float
) -> None:
    """Nobody has the block that it took, and one does not say so."""

    async def story() -> None:
        async with scene(sockets, names=NAMES) as on:
            await asyncio.sleep(0.7)
            hang(on, ["one"])
            await asyncio.sleep(later)
            assert await reorg(on, depth) < 1.1
            await on.mine(5)
            assert await on.handled_after() < 1.1

    play(story())


@EACH
@DEPTHS
@pytest.mark.parametrize("later", [0.01, 0.1, 0.3, 0.6])
def test_a_block_that_is_taken_while_it_is_asked_about_is_not_waited_for(
    sockets: Sockets, depth: int, later: float
) -> None:
    """The preferred one was asked, and hangs; those that are asked beside it have the block no more."""

    async def story() -> None:
        async with scene(sockets, names=NAMES) as on:
            await asyncio.sleep(0.7)
            hang(on, ["one"])
            await on.mine(1, 0.1)
            await asyncio.sleep(later)
            assert await reorg(on, depth) < 1.6

    play(story())


@DEPTHS
@LATER
@pytest.mark.parametrize(("sockets", "seconds"), [("both", 1.0), ("first", 6.0)])
def test_nor_is_it_missed_where_the_websocket_falls_silent_as_well(
    sockets: Sockets, seconds: float, depth: int, later: float
) -> None:
    """Blocks come every two seconds: that nothing comes is doubted after three of them."""

    async def story() -> None:
        async with scene(sockets, names=NAMES) as on:
            await asyncio.sleep(0.7)
            hang(on, ["one"], falls_silent=True)
            await asyncio.sleep(later)
            assert await reorg(on, depth) < seconds

    play(story())


@EACH
@DEPTHS
def test_the_last_one_that_answers_is_enough(sockets: Sockets, depth: int) -> None:
    async def story() -> None:
        async with scene(sockets, names=NAMES) as on:
            await asyncio.sleep(0.7)
            hang(on, NAMES[:2])
            assert await reorg(on, depth) < 2.0

    play(story())


@EACH
def test_a_reorg_that_nobody_tells_of_is_found_when_they_answer_again(sockets: Sockets) -> None:
    async def story() -> None:
        async with scene(sockets, names=NAMES) as on:
            hang(on, NAMES, falls_silent=True)
            on.world.reorg(4)
            on.fleet.hear()
            await asyncio.sleep(20)
            assert on.status.state == "stale"
            on.fleet.heal()
            await asyncio.sleep(10)
            assert (on.status.state, on.status.block) == ("live", on.world.tip.number)

    play(story())


@EACH
def test_of_many_reorgs_while_one_or_another_hangs_none_is_followed_late(sockets: Sockets) -> None:
    """One of three answers at any time; who hangs does so for up to twenty seconds."""

    async def story() -> None:
        async with scene(sockets, names=NAMES) as on:
            chance = Random(5)  # noqa: S311 - the same story every time
            for _ in range(60):
                for name in chance.sample(NAMES, chance.choice((1, 1, 2))):
                    on.fleet._endpoints[name].hang_for(chance.choice((0.5, 3.0, 12.0)))
                await on.mine(1, chance.uniform(0, 2))
                await asyncio.sleep(chance.choice((0.0, 0.01, 0.1, 0.5)))
                assert await reorg(on, chance.randint(1, 4)) < 3.0
                await on.mine(chance.randint(1, 5))
                await on.handled_within(2.0)
                for endpoint in on.fleet._endpoints.values():
                    endpoint.recover()
                await on.mine(chance.choice((0, 3)))

    play(story())
