"""One seeded run: a story of blocks, faults and kills, then rest, then the oracle."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from random import Random

import structlog

from tests.sim.clock import play
from tests.sim.crowd import Crowd
from tests.sim.faults import NONE, Faults, drawn
from tests.sim.node import SimFeed, SimNode
from tests.sim.oracle import violations
from tests.sim.service import STREAM, Life, settings_of
from tests.sim.store import Disk
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
        self.disk = Disk(self._random, lambda: self._now)
        self._node = SimNode(self.world, self._random, lambda: self._now)
        self._node.tag_lags = self._random.choice(((6, 12), (6, 12), (2, 6), None))
        self._feed = SimFeed(self.world, self._random, lambda: self._now)
        self.crowd = Crowd(self.disk, self._random, lambda: self._now, lambda: self._present)
        self._present: Life | None = None
        self._kills = self._reorgs = 0
        self._deep = False

    async def tell(self) -> Outcome:
        random.seed(self._seed)  # what the product draws by itself, such as jitter
        for _ in range(self._random.randint(1, 5)):
            self.world.mine()
        self.crowd.start()
        life = await self._live()
        for _ in range(self._blocks):
            await asyncio.sleep(self._random.choice((0.01, 0.3, 1.0, 4.0)))
            self._happen()
            self.crowd.happen()
            self._trouble_store()
            if self._random.random() < self._now.kill:
                life = await self._kill(life)
        self._now = NONE
        await self._rest(life)
        self.log = await self.crowd.settle()
        await self.crowd.stop()
        await life.stop()
        self.life = life
        found = violations(self.world, self.disk, self.log, self.crowd.witnesses, life, exact=not self._deep)
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

    def _trouble_store(self) -> None:
        if self._random.random() < self._now.step_down:
            cut_off, election = self._random.choice((0.01, 1.0, 8.0)), self._random.choice((0.1, 5.0))
            work = self.disk.step_down(cut_off_seconds=cut_off, election_seconds=election)
            self._step_down = asyncio.get_running_loop().create_task(work)

    async def _live(self) -> Life:
        life = Life(self.disk, lambda _settings: (self._node, self._feed), settings_of(self._window))
        self._present = life
        await life.start()
        return life

    async def _kill(self, life: Life) -> Life:
        """Between any two awaits: after so many turns of the loop, in most of which somebody goes on."""
        self._kills += 1
        for _ in range(self._random.choice((0, 0, 3, 10, 30))):
            await asyncio.sleep(0)
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
            state = life.board.one(STREAM)
            told, projected = life.positions.told(), life.positions.projected()
            if state and state.ready and state.block == self.world.tip.number and told == projected:
                return
