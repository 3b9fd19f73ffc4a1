"""Two whole providers, and one of them stands still, lags for good or hangs: the real client and service, told a story.

Everything plays in virtual time, so that ten minutes take no time and a second is a second.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Literal

import pytest
from structlog.testing import capture_logs

from indexer.domain.status import StreamStatus
from tests.sim.clock import play
from tests.sim.faults import NONE
from tests.sim.rpc import dialects
from tests.sim.rpc.endpoint import SimEndpoint
from tests.sim.rpc.fleet import Fleet
from tests.sim.rpc.machine import Machine
from tests.sim.rpc.methods import Manners, Methods
from tests.sim.service import STREAM, Life, settings_of
from tests.sim.store import Disk
from tests.sim.world import World

Sockets = Literal["none", "first", "both"]
WS_URLS = {"none": [], "first": ["ws://one.sim/"], "both": ["ws://one.sim/", "ws://two.sim/"]}
EACH = pytest.mark.parametrize("sockets", ["none", "first", "both"])


class Scene:
    """The service on two providers, the first of which is preferred."""

    def __init__(self, sockets: Sockets) -> None:
        chance = Random(1)  # noqa: S311 - the same story every time
        self.world = World(chance)
        for _ in range(5):
            self.world.mine()
        self.fleet = Fleet(self.world, chance, lambda: NONE)
        manners = Manners(dialects.DIALECTS[0])
        for name in ("one", "two"):
            methods = Methods(manners, self.fleet._encoded)
            self.fleet._manners[name] = manners
            self.fleet._endpoints[name] = SimEndpoint([Machine(self.world)], manners, methods, chance, lambda: NONE)
        self.fleet.rpc_urls = ["http://one.sim/", "http://two.sim/"]
        self.fleet.ws_urls = WS_URLS[sockets]
        self.life = Life(Disk(chance, lambda: NONE), lambda _settings: self.fleet.client(), settings_of(256))

    @property
    def first(self) -> Machine:
        return self.fleet._endpoints["one"].machines[0]

    @property
    def status(self) -> StreamStatus:
        status = self.life.board.one(STREAM)
        assert status is not None
        return status

    async def mine(self, blocks: int, seconds: float = 2.0) -> None:
        for _ in range(blocks):
            await asyncio.sleep(seconds)
            self.world.mine()
            self.fleet.hear()

    async def asked(self) -> str | None:
        """Who answered last when the next block was handled; now and then, another one is asked about missing logs."""
        await self.mine(1)
        assert await self.handled_after() < 1
        return self.status.endpoint

    async def handled_within(self, seconds: float) -> None:
        assert await self.handled_after() < seconds

    async def handled_after(self) -> float:
        """Seconds until the world's newest block is handled."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self.status.block != self.world.tip.number:
            await asyncio.sleep(0.02)
            assert loop.time() - began < 60, f"{self.status.block} of {self.world.tip.number}"
        return loop.time() - began


@asynccontextmanager
async def scene(sockets: Sockets, seconds: float = 2.0) -> AsyncIterator[Scene]:
    random.seed(1)  # what the product draws by itself, such as jitter
    made = Scene(sockets)
    await made.life.start()
    await made.mine(12, seconds)
    await made.handled_after()
    yield made
    await made.life.stop()


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
