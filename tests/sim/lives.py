"""One life of the service after the other: how each begins, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from indexer.config import Settings
from tests.sim.branches import Branches
from tests.sim.faults import Faults
from tests.sim.rpc.fleet import Fleet
from tests.sim.service import Connect, Life
from tests.sim.store import Disk

_START_SECONDS: Final = 0.06
_REPAIR_SECONDS: Final = 0.06
_MOST_TURNS: Final = 40


class Lives:
    """`present` is the one that there is just now; `found` what was wrong with those that are over."""

    def __init__(
        self,
        disk: Disk,
        fleet: Fleet,
        branches: Branches,
        random: Random,
        faults: Callable[[], Faults],
        apart: Mapping[str, Random],
        connect: Connect,
        settings: Callable[[], Settings],
    ) -> None:
        self.present: Life | None = None
        self.kills = 0
        self.found: list[str] = []
        self._disk = disk
        self._fleet = fleet
        self._branches = branches
        self._random = random
        self._faults = faults
        self._apart = apart
        self._connect = connect
        self._settings = settings

    async def begin(self) -> Life:
        """One that is up: now and then one is killed on the way there."""
        while True:
            life = self.present = Life(self._disk, self._connect, self._settings())
            if not self._strikes("kill_at_start"):
                await life.start()
                return life
            starting = asyncio.get_running_loop().create_task(life.start())
            await self._between_two_awaits(self._apart["kill_at_start"], _START_SECONDS)
            self._kill(life)
            await starting
            await asyncio.sleep(0.1)

    async def go_on(self, life: Life, *, has_reorg: bool) -> Life:
        """This one, or, where it ends now, the next one. `has_reorg`: one is being repaired."""
        if has_reorg and self._strikes("kill_at_reorg"):
            await self._between_two_awaits(self._apart["kill_at_reorg"], _REPAIR_SECONDS)
        elif self._random.random() < self._faults().kill:
            # After so many turns of the loop, in most of which somebody goes on.
            await asyncio.sleep(self._random.choice((0.0, 0.001, 0.003, 0.01, 0.1)))
            await _turns(self._random.choice((0, 0, 3, 10, 30)))
        else:
            return life
        return await self._next(life)

    async def _next(self, life: Life) -> Life:
        if self._strikes("clean_stop"):
            await life.stop()
            self._part(life)
        else:
            self._kill(life)
        await asyncio.sleep(self._random.choice((0.1, 5.0)))
        for _ in range(self._random.choice((0, 1, 3, 6, 50))):
            self._branches.happen()
        self._branches.while_away()
        life = await self.begin()
        if self._random.random() < self._faults().reorg_at_start:
            # While it catches up with what it missed.
            await asyncio.sleep(self._random.choice((0.002, 0.01, 0.05, 0.3)))
            self._branches.at_start()
        return life

    def _kill(self, life: Life) -> None:
        self.kills += 1
        life.kill()
        self._part(life)

    def _part(self, life: Life) -> None:
        self._fleet.hang_up()
        if life.gave_up is not None:
            self.found.append(f"a life gave up: {life.gave_up!r}")

    async def _between_two_awaits(self, dice: Random, seconds: float) -> None:
        await asyncio.sleep(dice.uniform(0.0, seconds))
        await _turns(dice.randrange(_MOST_TURNS))

    def _strikes(self, name: str) -> bool:
        rate: float = getattr(self._faults(), name)
        return bool(rate) and self._apart[name].random() < rate


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
