"""Chains that are taken out of the file while they write: whatever is in the log reaches who listens, once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from indexer.app import Service
from indexer.config import load
from indexer.domain.balances import BalanceUpdated
from tests.e2e.listening import Subscriber
from tests.e2e.mongo import Mongo
from tests.e2e.service import Config, Json, Running, running, until
from tests.e2e.world import World, world
from tests.fixtures.unanswered import ARRIVALS, Arrives, Unanswered

pytestmark = [pytest.mark.e2e, pytest.mark.node]

POINTS: dict[str, dict[str, Any]] = {
    "hangAfterCollectionInserts": {"collectionNS": "indexer.commits"},
    "hangBeforeWaitingForWriteConcern": {},
}

RNG = random.Random(3)  # noqa: S311 - a script, not a secret


class Scene:
    """A service with two chains, one of which goes and comes, and a client that listens to all of it."""

    def __init__(self, service: Service, client: Subscriber, http: aiohttp.ClientSession, both: Config) -> None:
        self.service = service
        self._client = client
        self._http = http
        self._both = both

    async def remove(self) -> None:
        chains = {"first": self._both.chains["first"]}
        self._both.but(chains=chains).write()
        await self.service.control.reload()

    async def bring_back(self) -> None:
        self._both.write()
        await self.service.control.reload()

    async def is_told(self, stream: str) -> bool:
        """Whether the client has heard just what can be polled, and that is all there is in the log."""
        last = await self.service.store.commits.last_seq(stream)
        events = await self.polled(stream)
        heard = [event for event in self._client.events if event["stream"] == stream]
        return last > 0 and [event["seq"] for event in events] == list(range(1, last + 1)) and heard == events

    async def polled(self, stream: str) -> list[Json]:
        async with self._http.get("/api/v1/events", params={"stream": stream, "limit": 1000}) as answer:
            items: list[Json] = (await answer.json()).get("items", [])  # none before anything was told
        return items


@asynccontextmanager
async def scene(home: World, other: World, folder: Path, **more: object) -> AsyncIterator[Scene]:
    both = home.config(folder, store={"url": "memory"})
    both = both.but(chains={**both.chains, "other": other.table(**more)})
    async with (
        Service(load(both.write(), {})) as service,
        aiohttp.ClientSession(service.url) as http,
        http.ws_connect("/ws") as socket,
    ):
        client = Subscriber(socket)
        await client.subscribe(after={"chain:5": 0, "history:5": 0})
        try:
            yield Scene(service, client, http, both)
        finally:
            await client.close()


@pytest.mark.parametrize("arrives", ARRIVALS)
async def test_what_a_removed_chain_was_writing_is_told_though_it_never_comes_back(
    home: World, tmp_path: Path, arrives: Arrives
) -> None:
    async with world(5) as other, scene(home, other, tmp_path) as on:
        await on.service.ready()
        unanswered = Unanswered(on.service.store.commits, other.stream, arrives)
        await other.stir(RNG)
        await unanswered.began.wait()
        await on.remove()
        await unanswered.arrive()
        assert unanswered.commit is not None
        assert await on.service.store.commits.last_seq(other.stream) == unanswered.commit.last_seq
        await until(lambda: on.is_told(other.stream), seconds=5)
        await on.service.positions.caught_up()
        fact = unanswered.commit.facts[-1]
        assert isinstance(fact, BalanceUpdated)
        record = await on.service.store.balances.one(5, fact.holding)
        assert record is not None
        assert record.balance == fact.balance


@pytest.mark.parametrize("arrives", ARRIVALS)
async def test_what_a_removed_chain_was_writing_is_told_once_where_it_comes_back(
    home: World, tmp_path: Path, arrives: Arrives
) -> None:
    async with world(5) as other, scene(home, other, tmp_path) as on:
        await on.service.ready()
        unanswered = Unanswered(on.service.store.commits, other.stream, arrives)
        await other.stir(RNG)
        await unanswered.began.wait()
        unanswered.arrive_late()
        await on.remove()
        await on.bring_back()
        await on.service.ready()
        await other.stir(RNG)
        assert unanswered.commit is not None
        last = unanswered.commit.last_seq
        await until(lambda: on.service.positions.told()[other.stream] > last)
        await until(lambda: on.is_told(other.stream), seconds=5)
        assert {one.state for one in on.service.report.streams() if one.stream == other.stream} == {"live"}


@pytest.mark.parametrize("arrives", ARRIVALS)
async def test_history_that_a_removed_chain_was_writing_is_told_though_it_never_comes_back(
    home: World, tmp_path: Path, arrives: Arrives
) -> None:
    async with world(5) as other:
        for _ in range(10):
            await other.stir(RNG)
        async with scene(home, other, tmp_path, start_block=0) as on:
            unanswered = Unanswered(on.service.store.commits, "history:5", arrives)
            await asyncio.wait_for(unanswered.began.wait(), 20)
            await on.remove()
            await unanswered.arrive()
            await until(lambda: on.is_told("history:5"), seconds=5)


@pytest.mark.mongo
@pytest.mark.parametrize("point", POINTS)
async def test_what_a_server_still_wrote_of_a_removed_chain_is_told(home: World, tmp_path: Path, point: str) -> None:
    async with world(5) as other, _served(home, other, tmp_path) as (service, mongo, client):
        told = _last(mongo, other.stream)
        before = mongo.hang(point, **POINTS[point])
        await other.stir(RNG)
        await asyncio.to_thread(mongo.hangs, point, before)
        await _remove(service)
        mongo.release(point)
        await until(lambda: _last(mongo, other.stream) > told)
        await until(lambda: _heard_all(client, mongo, other.stream), seconds=5)


@pytest.mark.mongo
@pytest.mark.timeout(240)
async def test_a_chain_that_goes_and_comes_all_the_time_loses_and_repeats_nothing(home: World, tmp_path: Path) -> None:
    async with world(5) as other, _served(home, other, tmp_path, start_block=0) as (service, mongo, client):
        both, streams = service.config, (other.stream, "history:5")
        traffic = asyncio.create_task(_traffic(other))
        for comings in range(30):
            await asyncio.sleep(RNG.uniform(0, 0.4))
            await _remove(service)
            if comings % 5 == 0:  # nobody who comes later has to tell it
                for stream in streams:
                    await until(lambda: _heard_all(client, mongo, stream), seconds=5)  # noqa: B023 - awaited here
            await asyncio.sleep(RNG.uniform(0, 0.1))
            service.config = both
            both.write()
            assert (await service.post("/reload"))[0] == 200
        traffic.cancel()
        await service.ready()
        for stream in (home.stream, *streams):
            await until(lambda: _heard_all(client, mongo, stream), seconds=5)  # noqa: B023 - awaited here
            assert [event for event in client.events if event["stream"] == stream] == await service.events(stream)
        assert not [line for line in service.log if line["event"] in ("actor_died", "stepped_down")]


@asynccontextmanager
async def _served(
    home: World, other: World, folder: Path, **more: object
) -> AsyncIterator[tuple[Running, Mongo, Subscriber]]:
    """A process of its own on a server of its own, and a client that was there from the beginning."""
    with Mongo() as mongo:
        config = home.config(folder, store={"url": mongo.url})
        config = config.but(chains={**config.chains, "other": other.table(**more)})
        after = {home.stream: 0, other.stream: 0, "history:5": 0}
        async with running(config) as service, service.subscribed(after=after) as client:
            yield service, mongo, client


async def _remove(service: Running) -> None:
    service.config = service.config.but(chains={"first": service.config.chains["first"]})
    service.config.write()
    assert (await service.post("/reload"))[0] == 200


async def _traffic(world: World) -> None:
    while True:
        await world.stir(RNG)
        await asyncio.sleep(0.05)


def _last(mongo: Mongo, stream: str) -> int:
    commits = mongo.documents("commits", {"stream": stream}, "firstSeq")
    return int(commits[-1]["lastSeq"]) if commits else 0


def _heard_all(client: Subscriber, mongo: Mongo, stream: str) -> bool:
    """Each event that is in the log, once and in order."""
    heard = [event["seq"] for event in client.events if event["stream"] == stream]
    return heard == list(range(1, _last(mongo, stream) + 1))
