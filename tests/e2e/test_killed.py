"""`kill -9` at any moment, under traffic and reorgs: nothing is lost, nothing is told or stored twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.e2e import truth
from tests.e2e.service import end_mongod, running
from tests.e2e.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

KILLS = 10
SEED = 4


@pytest.mark.timeout(180)
async def test_ten_kills_under_traffic_lose_and_repeat_nothing(home: World, tmp_path: Path) -> None:
    rng = random.Random(SEED)  # noqa: S311 - a script, not a secret
    stop = asyncio.Event()
    async with running(home.config(tmp_path)) as service:
        traffic = asyncio.create_task(_traffic(home, rng, stop))
        heard: dict[str, str] = {}
        for kill in range(KILLS):
            if kill % 3 == 2:
                # In the middle of its start, wherever that is by then.
                await service.kill()
                await service.launch()
                await asyncio.sleep(rng.uniform(0.0, 2.0))
            else:
                async with service.subscribed(after={home.stream: 0}) as subscriber:
                    await asyncio.sleep(rng.uniform(0.0, 0.6))
                    await service.kill()
                _remember(heard, subscriber.events)
            if service.alive:
                await service.kill()
            if rng.random() < 0.3:
                end_mongod(service.config)
            await service.start(ready=False)
        stop.set()
        await traffic
        await service.ready()
        # Every block that changed a balance has its record, those of the last branch too.
        await truth.check_history(service, home.anvil, home.holdings())
        events = await service.events(home.stream)
        truth.check_dense(events)
        truth.check_linked(events)
        # I4: whatever a client has seen is in the log, word for word.
        kept = {event["id"]: repr(event) for event in events}
        assert heard
        assert heard.items() <= kept.items()


def _remember(heard: dict[str, str], events: list[dict[str, object]]) -> None:
    for event in events:
        known = heard.setdefault(str(event["id"]), repr(event))
        assert known == repr(event)


async def _traffic(home: World, rng: random.Random, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await home.stir(rng, rng.randrange(4))
        if rng.random() < 0.15:
            await home.anvil.reorg(rng.randrange(1, 4))
        await asyncio.sleep(rng.uniform(0.0, 0.1))
    await home.anvil.mine()
