"""What the store keeps, and how it fails: slow, away, an answer lost on the way, a primary that steps down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from indexer.domain.chain import Address, BlockHash, Holding, TokenInfo
from indexer.domain.history.backfill import Chunk
from indexer.domain.history.jobs import Job
from indexer.domain.recording.holes import Hole
from indexer.domain.recording.records import BalanceRecord, HoldingKey, Settling
from indexer.domain.resuming.checkpoints import StoredCheckpoint
from indexer.domain.telling.commits import Commit
from indexer.domain.watching import Solver, WatchedToken
from indexer.errors import StoreUnavailable
from tests.sim.faults import Faults
from tests.sim.store.records import Records

T = TypeVar("T")


@dataclass
class Kept:
    """Every collection, by its unique key."""

    commits: list[Commit] = field(default_factory=list)
    checkpoints: dict[str, StoredCheckpoint] = field(default_factory=dict)
    records: Records = field(default_factory=Records)
    current: dict[HoldingKey, BalanceRecord] = field(default_factory=dict)
    settlings: dict[int, Settling] = field(default_factory=dict)
    geneses: dict[int, BlockHash] = field(default_factory=dict)
    solvers: dict[str, Solver] = field(default_factory=dict)
    tokens: dict[tuple[int, Address], WatchedToken] = field(default_factory=dict)
    infos: dict[tuple[int, Address], TokenInfo] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    chunks: dict[tuple[str, int], Chunk] = field(default_factory=dict)
    covered: dict[int, dict[Holding, int]] = field(default_factory=dict)
    tops: dict[HoldingKey, int] = field(default_factory=dict)
    holes: dict[HoldingKey, Hole | None] = field(default_factory=dict)
    hole_seqs: dict[HoldingKey, int] = field(default_factory=dict)
    """Of the record above the newest hole of each."""

    def copy(self) -> Kept:
        """All values in it are frozen, but for the two levels of `covered`."""
        copied = {name: type(kept)(kept) for name, kept in vars(self).items()}
        return Kept(**{**copied, "covered": {chain: dict(kept) for chain, kept in self.covered.items()}})


class Disk:
    """A replica set. Every write asks for a majority, every read for what a majority has, as `repositories` do.

    So what was acknowledged stays. A write that the old primary took while it was stepping down was not acknowledged:
    the new primary may have it, or not.
    """

    def __init__(self, random: Random, faults: Callable[[], Faults], slow: Random | None = None) -> None:
        self.kept = Kept()
        self._slow = slow or random
        self.step_downs = self.rolled_back = self.delays = 0
        self._random = random
        self._faults = faults
        self._agreed: Kept | None = None
        """What the majority has, while the old primary still takes writes that it cannot bring to them."""
        self._elected = asyncio.Event()
        self._elected.set()

    async def read(self, look: Callable[[Kept], T]) -> T:
        await self._reach()
        return look(self._agreed or self.kept)

    async def write(self, change: Callable[[Kept], T]) -> T:
        await self._reach()
        if self._agreed is not None:
            change(self.kept)
            await self._elected.wait()
            raise StoreUnavailable("the primary stepped down before a majority had it")
        result = change(self.kept)
        if self._random.random() < self._faults().store_lost_answer:
            raise StoreUnavailable("the connection broke after the write")
        return result

    async def step_down(self, *, cut_off_seconds: float, election_seconds: float) -> None:
        """The primary is cut off and does not know it yet; then there is none; then there is another one."""
        if not self._elected.is_set():
            return
        self.step_downs += 1
        self._elected = asyncio.Event()
        self._agreed = self.kept.copy()
        await asyncio.sleep(cut_off_seconds)
        if self._random.random() < 0.5 and self.kept != self._agreed:
            self.rolled_back += 1
            self.kept = self._agreed
        self._agreed = None
        await asyncio.sleep(election_seconds)
        self._elected.set()

    async def _reach(self) -> None:
        slow = self._random.random() < self._faults().slow / 10
        await asyncio.sleep(self._random.choice((0.05, 0.5, 3.0)) if slow else 0.002)
        if self._faults().slow_store and self._slow.random() < self._faults().slow_store:
            self.delays += 1
            await asyncio.sleep(self._slow.choice((0.05, 0.5, 3.0, 12.0)))
        if self._random.random() < self._faults().store_down:
            raise StoreUnavailable("no answer")
        if self._agreed is None and not self._elected.is_set():
            raise StoreUnavailable("no primary")
