"""A store that survives the process: the commit log, the checkpoints, and what queries read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from indexer.domain.chain import BlockRef, ChainIdentity, Head, Holding
from indexer.domain.checkpoints import Mark
from indexer.domain.commits import Commit
from indexer.domain.finality import Settled
from indexer.domain.records import BalanceRecord, HoldingKey, Projection, RecordKey, Settling
from indexer.errors import Fenced, StoreUnavailable, WrongChain
from tests.sim.faults import Faults


@dataclass(frozen=True)
class Stored:
    """A checkpoint document."""

    heads: tuple[Head, ...] = ()
    projected: int = 0
    mark: Mark = field(default_factory=Mark)


class SimStore:
    """Fails before a write, after it, or is slow; what it took it keeps."""

    def __init__(self, random: Random, faults: Callable[[], Faults]) -> None:
        self._random = random
        self._faults = faults
        self.commits: list[Commit] = []
        self.checkpoints: dict[str, Stored] = {}
        self.records: dict[RecordKey, BalanceRecord] = {}
        self.current: dict[HoldingKey, BalanceRecord] = {}
        self.settlings: dict[int, Settling] = {}
        self.genesis: str | None = None

    # --- the log -----------------------------------------------------------------------------------------------------

    async def append(self, commit: Commit) -> None:
        await self._wire()
        for kept in self.commits:
            if kept.stream == commit.stream and kept.first_seq == commit.first_seq:
                if kept.id == commit.id:
                    return
                raise Fenced(f"{commit.stream} {commit.first_seq} is taken")
        self.commits.append(commit)
        if self._random.random() < self._faults().store_lost_answer:
            raise StoreUnavailable("the connection broke after the write")

    async def last_seq(self, stream: str) -> int:
        await self._wire()
        return max((commit.last_seq for commit in self.commits if commit.stream == stream), default=0)

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]:
        await self._wire()
        return [commit for commit in self.commits if commit.stream == stream and commit.last_seq > after][:limit]

    async def above_block(self, stream: str, number: int) -> list[Commit]:
        await self._wire()
        return [
            commit
            for commit in self.commits
            if commit.stream == stream and commit.checkpoint is not None and commit.checkpoint.head.number > number
        ]

    async def positions(self) -> dict[str, int]:
        await self._wire()
        return {commit.stream: commit.last_seq for commit in self.commits}

    # --- checkpoints and identity ------------------------------------------------------------------------------------

    async def load(self, stream: str) -> Stored | None:
        await self._wire()
        return self.checkpoints.get(stream)

    async def follow(self, stream: str, heads: Sequence[Head], mark: Mark) -> None:
        await self._wire()
        stored = self.checkpoints.get(stream, Stored())
        mark = replace(mark, trail=dict(mark.trail), watch=mark.watch or stored.mark.watch)
        self.checkpoints[stream] = replace(stored, heads=tuple(heads), mark=mark)

    async def set_projected(self, stream: str, seq: int) -> None:
        await self._wire()
        self.checkpoints[stream] = replace(self.checkpoints.get(stream, Stored()), projected=seq)

    async def claim(self, identity: ChainIdentity) -> None:
        await self._wire()
        if self.genesis not in (None, identity.genesis):
            raise WrongChain("another genesis")
        self.genesis = identity.genesis

    # --- what queries read -------------------------------------------------------------------------------------------

    async def project(self, projection: Projection) -> None:
        """In three writes, each of which may be the last one before a crash."""
        await self._wire()
        self.records = {
            key: row for key, row in self.records.items() if (row.chain_id, row.block.hash) not in projection.orphaned
        }
        for cut in projection.cuts.values():
            self.records = {
                key: row for key, row in self.records.items() if key.number <= cut.above or row.seq >= cut.seq
            }
        await self._wire()
        for key, row in projection.records.items():
            if key not in self.records or self.records[key].seq < row.seq:
                self.records[key] = row
        await self._wire()
        for holding, folded in projection.current.items():
            row = folded
            if holding in projection.restored:
                older = [r for k, r in self.records.items() if k[:2] == holding and k.number <= folded.block.number]
                row = replace(max(older, key=lambda one: one.block.number, default=folded), seq=folded.seq)
            if holding not in self.current or self.current[holding].seq <= row.seq:
                self.current[holding] = row
        for chain_id, settling in projection.settled.items():
            if chain_id not in self.settlings or self.settlings[chain_id].seq <= settling.seq:
                self.settlings[chain_id] = settling

    async def settled(self, chain_id: int) -> Settled:
        await self._wire()
        return self.settlings[chain_id].settled if chain_id in self.settlings else Settled()

    async def balances_of(self, chain_id: int) -> dict[Holding, BalanceRecord]:
        await self._wire()
        return {key.holding: row for key, row in self.current.items() if key.chain_id == chain_id}

    async def block_at_or_below(self, chain_id: int, number: int) -> BlockRef | None:
        await self._wire()
        blocks = (row.block for row in self.records.values() if row.chain_id == chain_id and row.block.number <= number)
        return max(blocks, key=lambda block: block.number, default=None)

    async def _wire(self) -> None:
        await asyncio.sleep(0.5 if self._random.random() < self._faults().slow / 10 else 0.002)
        if self._random.random() < self._faults().store_down:
            raise StoreUnavailable("no primary")
