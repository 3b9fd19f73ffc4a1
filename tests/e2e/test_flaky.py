"""A quiet chain at a single provider of which one answer in five fails, and then all."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.e2e.service import Config, Running, running, until
from tests.e2e.world import World, world
from tests.fixtures.moody import Mood, Moody

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

WATCHED_SECONDS = 20.0
TOLD_SECONDS = {"polled": 3.0, "ws": 4.5}
"""A second after the head was asked for in vain, which may be 1 s after the last answer, or 2.25 s with a websocket."""
BACK_SECONDS = 10.0
MOST_LINES = 5


async def test_only_an_outage_is_told_of_a_provider_that_fails_now_and_then(tmp_path: Path) -> None:
    """Two such chains at once, each at a provider of its own: most of the time it only watches them."""
    async with AsyncExitStack() as stack:
        homes = {way: await stack.enter_async_context(world(number)) for number, way in enumerate(TOLD_SECONDS, 1001)}
        providers = {
            way: await stack.enter_async_context(Moody(home.anvil.http_url, home.anvil.ws_url))
            for way, home in homes.items()
        }
        tables = {
            way: home.table(rpc_urls=[providers[way].http_url], ws_urls=[providers[way].ws_url] if way == "ws" else [])
            for way, home in homes.items()
        }
        config = Config(tmp_path, tables, homes["ws"].solvers, store={"url": "memory"})
        service = await stack.enter_async_context(running(config))
        await asyncio.gather(*(_watched(service, way, homes[way], providers[way]) for way in homes))


async def _watched(service: Running, way: str, home: World, provider: Moody) -> None:
    moods: tuple[Mood, ...] = ("503", "html")

    async def is_in(state: str) -> bool:
        return bool((await service.stream(home.anvil.chain_id))["state"] == state)

    async def told() -> list[str]:
        return [event["type"] for event in await service.events(home.stream)]

    provider.latency_seconds, provider.failing = 0.04, 0.2
    requests = provider.requests
    await asyncio.sleep(WATCHED_SECONDS)
    assert provider.requests - requests > WATCHED_SECONDS / 4
    assert "stream.stale" not in await told()
    assert not service.said("endpoint_lost", endpoint=provider.name)

    for mood in moods:
        provider.mood = mood
        began = time.perf_counter()
        await until(lambda: is_in("stale"))
        assert time.perf_counter() - began < TOLD_SECONDS[way]
        assert (await service.call("GET", "/ready", chain=way))[0] == 503
        provider.mood = "well"
        await until(lambda: is_in("live"), BACK_SECONDS)
    assert (await told()).count("stream.stale") == len(moods)
    about = [line for line in service.log if line.get("endpoint") == provider.name]
    assert len(about) <= MOST_LINES
