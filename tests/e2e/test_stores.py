"""Bad days of the store: killed and started again under traffic, and shared by two services."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from repositories.left_over import left_over
from tests.e2e import truth
from tests.e2e.mongo import Mongo
from tests.e2e.service import Running, running, until
from tests.e2e.world import World
from tests.fixtures.chain import wallets

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

RNG = random.Random(6)  # noqa: S311 - a script, not a secret


async def test_the_private_mongod_is_killed_at_commits_and_nothing_is_lost(home: World, tmp_path: Path) -> None:
    async with running(home.config(tmp_path)) as service, service.subscribed(after={home.stream: 0}) as subscriber:
        data = service.config.data_dir / "mongo"
        for _ in range(6):
            pid = left_over(data)
            assert pid is not None
            await home.stir(RNG)
            await asyncio.sleep(RNG.uniform(0, 0.015))  # a block is committed 3 to 10 ms after it was mined
            os.kill(pid, signal.SIGKILL)
            await home.stir(RNG)
            await until(lambda: left_over(data) not in (None, pid), 30)  # noqa: B023 - awaited here
        await _is_whole(service, home)
        seq = (await service.stream(home.anvil.chain_id))["seq"]
        await subscriber.caught_up(home.stream, seq)
        assert subscriber.events == await service.events(home.stream)


COMMITS = "indexer.commits"
MOMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "before it is written": (
        "failCommand",
        {"failCommands": ["insert"], "blockConnection": True, "blockTimeMS": 9_000},
    ),
    "half written": ("hangAfterCollectionInserts", {"collectionNS": COMMITS}),
    "written and not acknowledged": ("hangBeforeWaitingForWriteConcern", {}),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_mongod_killed_in_the_middle_of_a_commit_loses_and_repeats_nothing(
    home: World, tmp_path: Path, moment: str
) -> None:
    point, data = MOMENTS[moment]
    with Mongo() as mongo:
        async with (
            running(home.config(tmp_path, store={"url": mongo.url})) as service,
            service.subscribed() as subscriber,
        ):
            await home.stir(RNG)
            await _is_whole(service, home)
            told = await service.events(home.stream)
            before = mongo.hang(point, **data)
            await home.token.send("mint", home.cold, 7)
            await home.anvil.mine()
            await asyncio.to_thread(mongo.hangs, point, before)
            if moment == "written and not acknowledged":
                await until(lambda: _last(mongo, home) > len(told))
                await asyncio.sleep(0.3)  # into the journal, which is written every 100 ms
            assert await service.events(home.stream) == told
            mongo.kill()
            # Nothing is mined meanwhile, and yet it is said.
            await service.says("store_lost")
            stream = await service.stream(home.anvil.chain_id)
            assert "a write waits for the store" in stream["lastError"]
            if moment == "half written":
                await until(lambda: _health(service, 503))
            await asyncio.to_thread(mongo.start)
            await until(lambda: _health(service, 200))
            await _is_whole(service, home)
            events = await service.events(home.stream)
            assert events[: len(told)] == told
            await subscriber.caught_up(home.stream, len(events))
            assert [each["seq"] for each in subscriber.events] == sorted({each["seq"] for each in subscriber.events})


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
            assert len(await service.says("store_lost")) == len(await service.says("store_back")) == 1
            assert await service.end() == 0


async def test_two_services_on_one_database_never_fork_a_stream(home: World, tmp_path: Path) -> None:
    with Mongo() as mongo:
        async with AsyncExitStack() as stack:
            configs = [home.config(tmp_path / name, store={"url": mongo.url}) for name in ("one", "two")]
            services = [await stack.enter_async_context(running(config)) for config in configs]
            listeners = [await stack.enter_async_context(service.subscribed()) for service in services]
            # The one that loses its first race reads the log once more, since a late write of its own could be there.
            for _ in range(40):
                if any(service.said("chain_stepped_down") for service in services):
                    break
                await home.stir(RNG)
                await asyncio.sleep(0.2)
            (fenced,) = [index for index, service in enumerate(services) if service.said("chain_stepped_down")]
            loser, winner = services[fenced], services[1 - fenced]
            for _ in range(5):
                await home.stir(RNG)
            await _is_whole(winner, home)
            assert (await loser.stream(home.anvil.chain_id))["state"] == "stopped"
            assert len(await loser.says("chain_stepped_down")) == 1
            assert [service.said("actor_died") for service in services] == [[], []]
            restarts = 'indexer_actor_restarts_total{actor="chain first"}'
            assert [await service.metric(restarts) for service in services] == [0, 0]
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


def _last(mongo: Mongo, home: World) -> int:
    commits = mongo.documents("commits", {"stream": home.stream}, "lastSeq")
    return int(commits[-1]["lastSeq"])


async def _health(service: Running, wanted: int) -> bool:
    status, _ = await service.call("GET", "/health")
    return status == wanted


async def test_a_file_that_is_saved_while_the_store_is_away_is_applied_whole_once_it_is_back(
    home: World, tmp_path: Path
) -> None:
    desk, night = (f"{name}-{name}-{name}-{name}" for name in ("desk", "night"))
    keys = [{"name": key[:4], "key": key, "scopes": ["admin"]} for key in (desk, night)]
    with Mongo() as mongo:
        config = home.config(tmp_path, store={"url": mongo.url}, keys=keys)
        async with running(config, key=desk) as service:

            async def solvers() -> set[str]:
                return {each["name"] for each in (await service.get("/solvers"))["items"]}

            async def problems() -> list[str]:
                problems: list[str] = (await service.get("/status"))["config"]["problems"]
                return problems

            before = await solvers()
            mongo.kill()
            late = {"late": {"address": wallets(1, 0x7000)[0]}}
            config.but(solvers={**home.solvers, **late}, keys=keys[:1]).write()
            assert "not applied yet" in (await until(problems, 60))[0]
            await asyncio.sleep(3)  # more than one look at the file
            assert await solvers() == before
            assert (await service.call("GET", "/api/v1/status", key=night))[0] == 200
            mongo.start()
            await until(lambda: service.said("config_applied"), 60)
            assert await solvers() == {*before, "late"}
            assert await problems() == []
            assert len(await service.says("config_waits")) == 1
            assert (await service.call("GET", "/api/v1/status", key=night))[0] == 401
