"""The store as one process has it open: the same parts under the same names as `repositories.store.Store`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from repositories.books import Books
from tests.sim.store.balances import SimBalances
from tests.sim.store.coverage import SimCoverage
from tests.sim.store.disk import Disk, Kept
from tests.sim.store.log import SimCheckpoints, SimLog
from tests.sim.store.notes import SimBackfills, SimChains, SimTokens, SimWatchlist

T = TypeVar("T")

EPOCH = "5eed5eed"


class _NoAccounts:
    async def project(self, _projection: object) -> None:
        raise AssertionError("this world has no exchange")

    async def forget(self, _before: object) -> int:
        return 0


class SimStore:
    """Ends with its process: what a killed one still tries to write does not arrive."""

    kind = "memory"
    epoch = EPOCH

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._is_dead = False
        self.commits = SimLog(self)
        self.checkpoints = SimCheckpoints(self)
        self.balances = SimBalances(self)
        self.chains = SimChains(self)
        self.tokens = SimTokens(self)
        self.watchlist = SimWatchlist(self)
        self.backfills = SimBackfills(self)
        self.coverage = SimCoverage(self)
        self.books = Books(self.balances, _NoAccounts(), self.backfills, self.coverage)

    def die(self) -> None:
        self._is_dead = True

    async def read(self, look: Callable[[Kept], T]) -> T:
        self._live()
        return await self._disk.read(look)

    async def write(self, change: Callable[[Kept], T]) -> T:
        self._live()
        return await self._disk.write(change)

    def _live(self) -> None:
        if self._is_dead:
            raise asyncio.CancelledError
