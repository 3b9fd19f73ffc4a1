"""The preferred endpoint dies in every way we know; the next head is told within a second, and it is taken back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e import truth
from tests.e2e.listening import Subscriber
from tests.e2e.service import Running, running, until
from tests.e2e.world import World, world
from tests.fixtures.moody import Moody

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo, pytest.mark.asyncio(loop_scope="module")]

HANDLED_SECONDS = 1.0
BACK_SECONDS = 60.0
STILL_SECONDS = 3.0 + 3.0
"""Three block times, at least three seconds, and as much again for a machine that is busy."""
MOST_LINES = 5


@dataclass(frozen=True)
class Stage:
    service: Running
    world: World
    first: Moody
    second: Moody
    subscriber: Subscriber

    async def told_after(self) -> float:
        """Seconds from the order to mine until a change in that block is at a subscriber."""
        await self.world.token.send("mint", self.world.cold, 1)
        began = time.perf_counter()
        await self.world.anvil.mine()
        number = int((await self.world.anvil.block())["number"], 16)
        await self.subscriber.heard(block=number, tokenAddress=self.world.token.address)
        return time.perf_counter() - began

    async def is_preferred(self) -> bool:
        """Whether the block that is mined now is read at the first endpoint."""
        await self.told_after()
        return bool((await self.service.stream(self.world.anvil.chain_id))["endpoint"] == self.first.name)

    def lines(self) -> int:
        """What was logged about the first endpoint so far."""
        return sum(line.get("endpoint") == self.first.name for line in self.service.log)

    async def metrics(self) -> str:
        async with self.service._http.get(f"{self.service.url}/metrics") as answer:
            return await answer.text()

    async def health(self) -> float:
        """Of the first endpoint, as it is measured."""
        line = f'indexer_endpoint_health{{chain="first",endpoint="{self.first.name}"}} '
        return float((await self.metrics()).split(line)[1].split("\n")[0])

    async def recovers(self) -> float:
        began = time.perf_counter()
        await until(self.is_preferred, BACK_SECONDS, every=0.2)
        return time.perf_counter() - began


@asynccontextmanager
async def two_providers(folder: Path, *, have_websockets: bool = True) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(world())
        first, second = [
            await stack.enter_async_context(Moody(home.anvil.http_url, home.anvil.ws_url)) for _ in range(2)
        ]
        ws_urls = [first.ws_url, second.ws_url] if have_websockets else []
        table = home.table(rpc_urls=[first.http_url, second.http_url], ws_urls=ws_urls)
        config = home.config(folder, chains={"first": table}, store={"url": "memory"})
        service = await stack.enter_async_context(running(config))
        subscriber = await stack.enter_async_context(service.subscribed())
        yield Stage(service, home, first, second, subscriber)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with two_providers(tmp_path_factory.mktemp("endpoints")) as made:
        yield made


@pytest.mark.parametrize("mood", ["hangs", "503", "html", "429"])
async def test_the_next_head_is_told_within_a_second_of_the_preferred_endpoint_s_death(stage: Stage, mood: Any) -> None:
    await until(stage.is_preferred, BACK_SECONDS, every=0.2)
    before = stage.lines()
    stage.first.mood = mood
    assert await stage.told_after() < HANDLED_SECONDS
    for _ in range(3):
        assert await stage.told_after() < HANDLED_SECONDS
    assert (await stage.service.stream(stage.world.anvil.chain_id))["endpoint"] == stage.second.name
    stage.first.mood = "well"
    assert await stage.recovers() < BACK_SECONDS
    assert stage.lines() - before <= MOST_LINES


async def test_a_provider_that_is_gone_with_its_websocket_is_left_as_fast(stage: Stage) -> None:
    await until(stage.is_preferred, BACK_SECONDS, every=0.2)
    before = stage.lines()
    await stage.first.stop()
    assert await stage.told_after() < HANDLED_SECONDS
    await stage.first.start()
    assert await stage.recovers() < BACK_SECONDS
    assert stage.lines() - before <= MOST_LINES


async def test_a_provider_that_hangs_with_its_websocket_is_left_as_fast(stage: Stage) -> None:
    await until(stage.is_preferred, BACK_SECONDS, every=0.2)
    before = stage.lines()
    stage.first.mood, stage.first.is_silent = "hangs", True
    for _ in range(4):
        assert await stage.told_after() < HANDLED_SECONDS
    assert (await stage.service.stream(stage.world.anvil.chain_id))["state"] == "live"
    stage.first.mood, stage.first.is_silent = "well", False
    assert await stage.recovers() < BACK_SECONDS
    assert stage.lines() - before <= MOST_LINES


async def test_a_preferred_provider_that_stands_still_is_left_and_taken_back_when_it_goes_on(stage: Stage) -> None:
    await until(stage.is_preferred, BACK_SECONDS, every=0.2)
    before = stage.lines()
    await stage.first.freeze()
    for _ in range(8):
        assert await stage.told_after() < HANDLED_SECONDS
    found = await stage.service.stream(stage.world.anvil.chain_id)
    assert (found["state"], found["endpoint"], found["lagBlocks"]) == ("live", stage.second.name, 0)
    assert await stage.health() == 0.5
    stage.first.frozen_at = None
    assert await stage.recovers() < BACK_SECONDS
    assert await stage.health() == 1.0
    assert stage.lines() - before <= MOST_LINES


async def test_a_polled_provider_that_stands_still_is_left_within_the_bound_and_no_block_is_lost(
    tmp_path: Path,
) -> None:
    async with two_providers(tmp_path, have_websockets=False) as stage:
        for _ in range(10):
            await stage.told_after()
        await stage.first.freeze()
        late = [await stage.told_after() for _ in range(10)]
        assert max(late) < STILL_SECONDS
        assert await stage.service.says("endpoint_set_aside", endpoint=stage.first.name)
        found = await stage.service.stream(stage.world.anvil.chain_id)
        assert (found["state"], found["endpoint"], found["heads"]) == ("live", stage.second.name, "poll")
        stage.first.frozen_at = None
        assert await stage.recovers() < BACK_SECONDS
        await truth.check_history(stage.service, stage.world.anvil, [(stage.world.token.address, stage.world.cold)])


async def test_an_endpoint_that_comes_and_goes_does_not_fill_the_log(stage: Stage) -> None:
    await until(stage.is_preferred, BACK_SECONDS, every=0.2)
    before = stage.lines()
    for _ in range(12):
        stage.first.mood = "503" if stage.first.mood == "well" else "well"
        assert await stage.told_after() < HANDLED_SECONDS
        await asyncio.sleep(0.3)
    stage.first.mood = "well"
    assert await stage.recovers() < BACK_SECONDS
    assert stage.lines() - before <= MOST_LINES


async def test_nothing_was_lost_and_the_metrics_say_what_happened(stage: Stage) -> None:
    home = stage.world
    await truth.check_history(stage.service, home.anvil, [(home.token.address, home.cold)])
    truth.check_dense(await stage.service.events(home.stream))
    text = await stage.metrics()
    assert await stage.health() == 1.0
    assert 'indexer_endpoint_hedges_total{chain="first"}' in text
    slowed = f'indexer_endpoint_calls_per_second{{chain="first",endpoint="{stage.first.name}"}} '
    assert float(text.split(slowed)[1].split("\n")[0]) < 10_000
    assert not {event["type"] for event in stage.subscriber.events} & {"stream.stale", "stream.resync"}
