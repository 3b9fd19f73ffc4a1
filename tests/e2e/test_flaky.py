"""A quiet chain at a single provider of which one answer in five fails, and then all."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.e2e.service import running, until
from tests.e2e.world import World
from tests.fixtures.moody import Mood, Moody

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

WATCHED_SECONDS = 20.0
TOLD_SECONDS = {"polled": 3.0, "ws": 4.5}
"""A second after the head was asked for in vain, which may be 1 s after the last answer, or 2.25 s with a websocket."""
BACK_SECONDS = 10.0
MOST_LINES = 5


@pytest.mark.parametrize("way", ["polled", "ws"])
async def test_only_an_outage_is_told_of_a_provider_that_fails_now_and_then(
    home: World, tmp_path: Path, way: str
) -> None:
    moods: tuple[Mood, ...] = ("503", "html")
    async with Moody(home.anvil.http_url, home.anvil.ws_url) as provider:
        table = home.table(rpc_urls=[provider.http_url], ws_urls=[provider.ws_url] if way == "ws" else [])
        config = home.config(tmp_path, chains={"first": table}, store={"url": "memory"})
        async with running(config) as service:

            async def is_in(state: str) -> bool:
                return bool((await service.stream(home.anvil.chain_id))["state"] == state)

            async def told() -> list[str]:
                return [event["type"] for event in await service.events(home.stream)]

            provider.latency_seconds, provider.failing = 0.04, 0.2
            requests = provider.requests
            await asyncio.sleep(WATCHED_SECONDS)
            assert provider.requests - requests > WATCHED_SECONDS / 4
            assert "stream.stale" not in await told()
            assert not service.said("endpoint_lost")

            for mood in moods:
                provider.mood = mood
                began = time.perf_counter()
                await until(lambda: is_in("stale"))
                assert time.perf_counter() - began < TOLD_SECONDS[way]
                assert (await service.call("GET", "/ready"))[0] == 503
                provider.mood = "well"
                await until(lambda: is_in("live"), BACK_SECONDS)
            assert (await told()).count("stream.stale") == len(moods)
            about = [line for line in service.log if line.get("endpoint") == provider.name]
            assert len(about) <= MOST_LINES
