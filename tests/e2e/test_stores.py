"""Bad days of the store: killed and started again under traffic, and shared by two services."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from repositories.left_over import left_over
from tests.e2e import truth
from tests.e2e.mongo import Mongo
from tests.e2e.service import Running, running, until
from tests.e2e.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

RNG = random.Random(6)  # noqa: S311 - a script, not a secret


async def test_the_private_mongod_is_killed_and_nothing_is_lost(home: World, tmp_path: Path) -> None:
    async with running(home.config(tmp_path)) as service, service.subscribed(after={home.stream: 0}) as subscriber:
        data = service.config.data_dir / "mongo"
        for _ in range(3):
            await home.stir(RNG)
            pid = left_over(data)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            for _ in range(3):
                await home.stir(RNG)
            await until(lambda: left_over(data) not in (None, pid), 30)  # noqa: B023 - awaited here
        await _is_whole(service, home)
        seq = (await service.stream(home.anvil.chain_id))["seq"]
        await subscriber.caught_up(home.stream, seq)
        assert subscriber.events == await service.events(home.stream)


async def test_a_mongod_of_ours_is_killed_and_started_again_and_nothing_is_lost(home: World, tmp_path: Path) -> None:
    with Mongo() as mongo:
        async with running(home.config(tmp_path, store={"url": mongo.url})) as service:
            await home.stir(RNG)
            mongo.kill()
            for _ in range(5):
                await home.stir(RNG)
            await until(lambda: _health(service, 503))
            assert not await service.is_ready()
            await asyncio.to_thread(mongo.start)
            await until(lambda: _health(service, 200))
            await service.ready()
            await home.stir(RNG)
            await _is_whole(service, home)
            assert len(service.said("store_lost")) == len(service.said("store_back")) == 1
            assert await service.end() == 0


async def test_two_services_on_one_database_never_fork_a_stream(home: World, tmp_path: Path) -> None:
    with Mongo() as mongo:
        async with AsyncExitStack() as stack:
            configs = [home.config(tmp_path / name, store={"url": mongo.url}) for name in ("one", "two")]
            services = [await stack.enter_async_context(running(config)) for config in configs]
            listeners = [await stack.enter_async_context(service.subscribed()) for service in services]
            for _ in range(5):
                await home.stir(RNG)
            await until(lambda: any(service.said("chain_stepped_down") for service in services))
            (fenced,) = [index for index, service in enumerate(services) if service.said("chain_stepped_down")]
            loser, winner = services[fenced], services[1 - fenced]
            for _ in range(5):
                await home.stir(RNG)
            await _is_whole(winner, home)
            assert (await loser.stream(home.anvil.chain_id))["state"] == "stopped"
            assert len(loser.said("chain_stepped_down")) == 1
            assert (await loser.call("GET", "/ready"))[0] == 503
            assert loser.alive
            log = await winner.events(home.stream)
            for listener in listeners:
                told = listener.events
                assert told == [event for event in log if event["seq"] in {each["seq"] for each in told}]
            following = 1
            for commit in mongo.documents("commits", {"stream": home.stream}, "firstSeq"):
                assert commit["firstSeq"] == following
                following = commit["lastSeq"] + 1


async def _is_whole(service: Running, home: World) -> None:
    await service.followed(home.anvil)
    await truth.check_history(service, home.anvil, home.holdings())
    events = await service.events(home.stream)
    truth.check_dense(events)
    truth.check_linked(events)


async def _health(service: Running, wanted: int) -> bool:
    status, _ = await service.call("GET", "/health")
    return status == wanted
