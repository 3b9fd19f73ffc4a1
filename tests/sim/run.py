"""One seeded run: a story of blocks, faults and kills, then rest, then the oracle."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from random import Random

import structlog

from tests.sim.clock import play
from tests.sim.faults import NONE, Faults, drawn
from tests.sim.node import SimFeed, SimNode
from tests.sim.oracle import violations
from tests.sim.service import Client, Life
from tests.sim.store import SimStore
from tests.sim.world import World

REST_SECONDS = 120.0
"""Virtual time within which everything must be well again after the last fault."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to; `violations` must be empty."""

    seed: int
    violations: tuple[str, ...]
    blocks: int
    kills: int
    reorgs: int

    def __str__(self) -> str:
        return f"make sim SEED={self.seed} RUNS=1   # {'; '.join(self.violations[:3])}"


def run(seed: int, blocks: int = 60) -> Outcome:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return play(Story(seed, blocks).tell())
    finally:
        structlog.configure(**before)


class Story:
    """A world, a store, a client that stays, and one life of the service after the other."""

    def __init__(self, seed: int, blocks: int, faults: Faults | None = None) -> None:
        self._seed = seed
        self._blocks = blocks
        self._random = Random(seed)  # noqa: S311 - a story, not a secret: its seed must repeat it
        self._now = faults or drawn(self._random)
        self._window = self._random.choice((8, 16, 256))
        self.world = World(self._random)
        self.store = SimStore(self._random, lambda: self._now)
        self._node = SimNode(self.world, self._random, lambda: self._now)
        self._node.tag_lags = self._random.choice(((6, 12), (6, 12), (2, 6), None))
        self._feed = SimFeed(self.world, self._random, lambda: self._now)
        self.client = Client()
        self._kills = self._reorgs = 0
        self._deep = False

    async def tell(self) -> Outcome:
        for _ in range(self._random.randint(1, 5)):
            self.world.mine()
        life = await self._live()
        for _ in range(self._blocks):
            await asyncio.sleep(self._random.choice((0.01, 0.3, 1.0, 4.0)))
            self._happen()
            if self._random.random() < self._now.kill:
                life = await self._kill(life)
        self._now = NONE
        await self._rest(life)
        await life.stop()
        self.life = life
        found = violations(self.world, self.store, self.client, life, exact=not self._deep)
        return Outcome(self._seed, tuple(found), len(self.world.blocks), self._kills, self._reorgs)

    def _happen(self) -> None:
        draw = self._random.random()
        if draw < self._now.deep_reorg:
            self._deep = True
            self._reorgs += 1
            head = self.world.reorg(self._window + self._random.randint(1, 20))
        elif draw < self._now.deep_reorg + self._now.reorg:
            self._reorgs += 1
            head = self.world.reorg(self._random.choice((1, 1, 2, 5)), self._random.choice((0, 1, 2)))
        else:
            head = self.world.mine()
        self._feed.announce(head)

    async def _live(self) -> Life:
        life = Life(self.store, self._node, self._feed, self.client, self._random, self._window)
        await life.start()
        return life

    async def _kill(self, life: Life) -> Life:
        self._kills += 1
        life.kill()
        await asyncio.sleep(self._random.choice((0.1, 5.0)))
        for _ in range(self._random.randint(0, 6)):
            self._happen()
        return await self._live()

    async def _rest(self, life: Life) -> None:
        """The faults are over: one last block, which nobody fails to hear, and time to get well."""
        loop = asyncio.get_running_loop()
        over = loop.time() + REST_SECONDS
        self._feed.announce(self.world.mine(), surely=True)
        while loop.time() < over:
            await asyncio.sleep(1)
            states = life.board.streams()
            told, projected = life.positions.told(), life.positions.projected()
            if states and states[0].ready and states[0].block == self.world.tip.number and told == projected:
                return
