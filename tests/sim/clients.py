"""Clients of the service, over the real site: one that stays, one that loses its connection, one that polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from random import Random
from typing import Any, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler

from indexer.client import IndexerClient
from indexer.client.problems import Problem, ServiceUnreachable
from indexer.domain.chain import BlockHash, Holding
from tests.sim.owners import Process
from tests.sim.service import HISTORY, STREAM, Life
from tests.sim.store import Disk
from tests.sim.wires import Wire
from tests.sim.witness import Witness, filled_in, is_fresh
from tests.sim.world import CHAIN_ID

URL = "http://sim"

Present = Callable[[], Life | None]


class SimConnector(aiohttp.BaseConnector):
    """Dials whatever life the service has just now."""

    def __init__(self, process: Process, present: Present) -> None:
        super().__init__()
        self._process = process
        self._present = present
        self.wires: list[Wire] = []

    async def _create_connection(self, *_: Any) -> ResponseHandler:
        await asyncio.sleep(0.001)
        life = self._present()
        if life is None:
            raise aiohttp.ClientConnectionError("connection refused")
        protocol: ResponseHandler = self._factory()
        wire = life.dial(self._process, protocol)
        self.wires = [*(each for each in self.wires if each.is_open), wire]
        return protocol


class SimClient(IndexerClient):
    """The product's client, without sockets."""

    def __init__(self, connector: SimConnector, random: Random) -> None:
        super().__init__(URL, jitter=random.random)
        self._connector = connector

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=self._connector, connector_owner=False)
        return self


class Client:
    """What all three have: a process of their own, a witness, and a look at the API now and then."""

    def __init__(self, name: str, random: Random, present: Present, disk: Disk) -> None:
        self.witness = Witness(name)
        self._random = random
        self._present = present
        self._disk = disk
        self._process = Process()
        self._task: asyncio.Task[None] | None = None
        self._connector: SimConnector

    def start(self) -> None:
        self._task = self._process.spawn(self._live())

    def end(self) -> None:
        """It hears nothing any more."""
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        if self._task is not None:
            await asyncio.wait((self._task,))
            if not self._task.cancelled():
                self._task.result()

    def lose(self, *, silently: bool) -> None:
        """Its connections break; or nothing comes through any more, which it has to find out."""
        for wire in self._connector.wires:
            wire.silent = True
            if not silently:
                wire.silent = False
                wire.abort()

    def doze(self, *, asleep: bool) -> None:
        """It does not read what comes."""
        for wire in self._connector.wires:
            near = wire.ends[0]
            near.pause_reading() if asleep else near.resume_reading()

    async def _live(self) -> None:
        self._connector = SimConnector(self._process, self._present)
        try:
            await self._run()
        finally:
            await self._connector.close()

    async def _run(self) -> None:
        raise NotImplementedError

    async def _look(self, client: IndexerClient, holdings: Collection[Holding]) -> None:
        """What was told can be read: an answer is never behind what this client was told before it asked."""
        delivered = dict(self.witness.delivered)
        with suppress(Problem, ServiceUnreachable):
            for holding in holdings:
                path, filled = (CHAIN_ID, holding.token, holding.solver), frozenset[BlockHash]()
                if self._random.random() < 0.5:
                    answer = await client.balance(*path)
                else:
                    rows = await client.history(*path, limit=1)
                    if not rows:
                        continue  # a reorg takes back its only record just now, before the ancestor's is there
                    answer, filled = rows[0], filled_in(self._disk.kept.commits, holding)
                self.witness.answers += 1
                if not is_fresh(self._disk.kept.commits, holding, answer, delivered.get(holding, 0), filled):
                    self.witness.faults.append(f"told {delivered[holding]}, then read {answer}")


class Subscriber(Client):
    """Connected all along, but for the times when there is no service."""

    async def _run(self) -> None:
        async with SimClient(self._connector, self._random) as client:
            await self._follow(client, {})

    async def _follow(self, client: IndexerClient, after: dict[str, int]) -> None:
        async for message in client.events(after=after or None, snapshot=not after):
            self.witness.hear(message)
            about = [*self.witness.delivered][-1:]
            if self._random.random() < 0.05:
                await self._look(client, about)


class Returner(Subscriber):
    """Comes back with the numbers it saw last, as another process."""

    async def _run(self) -> None:
        while True:
            async with SimClient(self._connector, self._random) as client:
                after = {STREAM: 0, HISTORY: 0, **self.witness.last} if self.witness.has_baseline else {}
                self.witness.level_again()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._random.choice((1, 10, 60))):
                        await self._follow(client, after)
            await asyncio.sleep(self._random.choice((0.1, 2, 10)))


class Poller(Client):
    """Asks for the events of each stream, and for balances."""

    def __init__(self, name: str, random: Random, present: Present, disk: Disk, pace: float) -> None:
        super().__init__(name, random, present, disk)
        self._pace = pace

    async def _run(self) -> None:
        self.witness.has_baseline = True
        async with SimClient(self._connector, self._random) as client:
            while True:
                await asyncio.sleep(self._pace * self._random.choice((0.3, 2.0, 8.0)))
                with suppress(ServiceUnreachable):
                    for stream in (STREAM, HISTORY):
                        await self._poll(client, stream)
                if self._random.random() < 0.3:
                    await self._look(client, [*self.witness.delivered][-2:])

    async def _poll(self, client: SimClient, stream: str) -> None:
        limit = self._random.choice((2, 50))
        try:
            page = await client._get(
                "/api/v1/events", stream=stream, after=self.witness.last.get(stream, 0), limit=limit
            )
        except Problem as problem:
            # A chain that is out of the file has streams only once something was told.
            is_unheard = problem.status == 404 and not self.witness.last.get(stream)
            if problem.status != 503 and not is_unheard:
                self.witness.faults.append(f"{stream} after {self.witness.last.get(stream, 0)}: {problem}")
            return
        for event in page["items"]:
            self.witness.event(event)
