"""A replica set whose primary steps down or dies: what was told stays, and the service finds the next one by itself."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import aiohttp
import pytest

from tests.e2e import truth
from tests.e2e.replicas import Replicas
from tests.e2e.service import Running, running, until
from tests.e2e.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

RNG = random.Random(8)  # noqa: S311 - a script, not a secret
WELL_AGAIN_SECONDS = 15.0
"""An election takes one to three; the driver then looks for the new primary every half second."""


@pytest.mark.timeout(120)
async def test_a_step_down_and_a_killed_primary_lose_and_repeat_nothing(home: World, tmp_path: Path) -> None:
    async with Replicas() as replicas:
        config = home.config(tmp_path, store={"url": replicas.url})
        async with running(config) as service, service.subscribed(after={home.stream: 0}) as subscriber:
            stop = asyncio.Event()
            traffic = asyncio.create_task(_traffic(home, stop))
            for killed in (False, False, True):
                port = await replicas.primary()
                await (replicas.kill(port) if killed else replicas.step_down())
                began, seq = time.monotonic(), len(subscriber.events)
                await until(lambda: len(subscriber.events) > seq + 10)  # noqa: B023 - awaited here
                await service.ready()
                seconds = time.monotonic() - began
                print(f"{'killed' if killed else 'stepped down'}: well again after {seconds:.1f} s")  # noqa: T201 - the figure, with -s
                assert seconds < WELL_AGAIN_SECONDS
                assert await replicas.primary() != port
                if killed:
                    replicas.launch(port)
            stop.set()
            await traffic
            await _is_whole(service, home)
            seq = (await service.stream(home.anvil.chain_id))["seq"]
            await subscriber.caught_up(home.stream, seq)
            assert subscriber.events == await service.events(home.stream)
            assert not service.said("actor_died")
            assert not service.said("chain_stepped_down")


@pytest.mark.timeout(120)
async def test_what_a_lost_primary_alone_had_was_never_told_and_is_committed_again(home: World, tmp_path: Path) -> None:
    async with Replicas() as replicas:
        config = home.config(tmp_path, store={"url": replicas.url})
        async with running(config) as service, service.subscribed(after={home.stream: 0}) as subscriber:
            await home.stir(RNG)
            await _is_whole(service, home)
            told = await service.events(home.stream)
            lost = await replicas.primary()
            others = replicas.others(lost)
            replicas.suspend(*others)
            await home.token.send("mint", home.cold, 5)
            await home.anvil.mine()
            await until(lambda: any(_is_above(each, told) for each in replicas.documents(lost, "commits")))
            # It is there to be read, and yet nobody is told of it.
            for _ in range(5):
                status, page = await service.call("GET", "/api/v1/events", stream=home.stream, limit=1000)
                assert status == 503 or page["items"] == told
                assert subscriber.events == told
            await service.kill()
            await replicas.kill(lost)
            replicas.resume(*others)
            await replicas.primary()
            replicas.launch(lost)
            await service.start()
            await _is_whole(service, home)
            assert (await service.events(home.stream))[: len(told)] == told


async def _traffic(home: World, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await home.stir(RNG, 2)
        await asyncio.sleep(0.03)


def _is_above(commit: dict[str, int], told: list[dict[str, int]]) -> bool:
    return commit["firstSeq"] > len(told)


async def _is_whole(service: Running, home: World) -> None:
    async def answers() -> bool:
        try:
            return await service.followed(home.anvil) > 0
        except (aiohttp.ClientError, AssertionError):
            return False

    await until(answers)
    await truth.check_history(service, home.anvil, home.holdings())
    events = await service.events(home.stream)
    truth.check_dense(events)
    truth.check_linked(events)
