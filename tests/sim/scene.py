"""The real client and service on one to three whole providers, told a story in virtual time.

Ten minutes take no time, and a second is a second.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Final, Literal

import pytest

from indexer.domain.health.status import StreamStatus
from tests.sim.faults import NONE, Faults
from tests.sim.rpc import dialects
from tests.sim.rpc.endpoint import SimEndpoint
from tests.sim.rpc.fleet import Fleet
from tests.sim.rpc.machine import Machine
from tests.sim.rpc.methods import Manners, Methods
from tests.sim.service import STREAM, Life, settings_of
from tests.sim.store import Disk
from tests.sim.world import World

Sockets = Literal["none", "first", "both"]
WS_URLS: Final = {"none": [], "first": ["ws://one.sim/"], "both": ["ws://one.sim/", "ws://two.sim/"]}
EACH = pytest.mark.parametrize("sockets", ["none", "first", "both"])


class Scene:
    """The service on some providers, the first of which is preferred."""

    def __init__(self, sockets: Sockets, names: Sequence[str]) -> None:
        chance = Random(1)  # noqa: S311 - the same story every time
        self.world = World(chance)
        for _ in range(5):
            self.world.mine()
        self.faults: dict[str, Faults] = dict.fromkeys(names, NONE)
        """What befalls the answers of each."""
        self.fleet = Fleet(self.world, chance, lambda: NONE)
        self.fleet._endpoints.clear()
        manners = Manners(dialects.DIALECTS[0])
        for name in names:
            methods = Methods(manners, self.fleet._encoded)
            self.fleet._manners[name] = manners
            faults = partial(self.faults.__getitem__, name)
            self.fleet._endpoints[name] = SimEndpoint([Machine(self.world)], manners, methods, chance, faults)
        self.fleet.rpc_urls = [f"http://{name}.sim/" for name in names]
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
async def scene(
    sockets: Sockets, seconds: float = 2.0, names: Sequence[str] = ("one", "two"), blocks: int = 12
) -> AsyncIterator[Scene]:
    """After so many blocks, each after so many seconds."""
    random.seed(1)  # what the product draws by itself, such as jitter
    made = Scene(sockets, names)
    await made.life.start()
    await made.mine(blocks, seconds)
    await made.handled_after()
    yield made
    await made.life.stop()
