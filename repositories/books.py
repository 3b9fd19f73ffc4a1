"""Everything that is projected from the log, as the projector and the janitor see it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from indexer.domain.accounts.records import AccountProjection
from indexer.domain.chain import BlockRef, Holding
from indexer.domain.history.jobs import Job
from indexer.domain.history.orders import orders_of
from indexer.domain.recording.holes import (
    Apart,
    Loose,
    Parting,
    Rejoining,
    Rereading,
    Told,
    loose_by_chain,
    steps,
    where_filled,
)
from indexer.domain.recording.records import BalanceRecord, Projection, RecordKey


class Balances(Protocol):
    """What chains' balances are and were."""

    async def project(self, projection: Projection) -> None: ...

    async def block_at_or_below(self, chain_id: int, number: int, *, heard: bool = False) -> BlockRef | None: ...

    async def all_below(
        self, keys: Collection[RecordKey], *, heard: bool = False
    ) -> Mapping[RecordKey, BalanceRecord]: ...

    async def forget(self, before: datetime) -> int: ...


class Accounts(Protocol):
    """What exchange accounts hold and held."""

    async def project(self, projection: AccountProjection) -> None: ...

    async def forget(self, before: datetime) -> int: ...


class Orders(Protocol):
    """What is to be filled of history."""

    async def offer(self, jobs: Iterable[Job]) -> None: ...


class Coverage(Protocol):
    """Where history has holes."""

    async def filled_up_to(self, chain_id: int, among: Collection[Holding]) -> Mapping[Holding, int]: ...

    async def rejoin(self, rejoining: Rejoining) -> None: ...

    async def reread(self, reread: Rereading, first: int) -> None: ...

    async def part(self, parted: Sequence[tuple[Apart, int]]) -> None: ...


class Books:
    """Chains' balances and exchange accounts, each in collections of their own, and what was passed over as orders."""

    def __init__(self, balances: Balances, accounts: Accounts, orders: Orders, coverage: Coverage) -> None:
        self._balances = balances
        self._accounts = accounts
        self._orders = orders
        self._coverage = coverage

    async def project(self, projection: Projection) -> None:
        """Safe to repeat, whole or in any split."""
        await self._balances.project(projection)
        if projection.accounts:
            await self._accounts.project(projection.accounts)
        for gap in projection.gaps:
            await self._orders.offer(orders_of(gap))
        tops = await self._filled_up_to(projection.holes)
        for step in steps(where_filled(projection.holes, tops)):
            if isinstance(step, Rejoining):
                await self._coverage.rejoin(await self._grounded(step))
                continue
            if isinstance(step, Rereading):
                left = await self._balances.block_at_or_below(step.chain_id, step.number - 1, heard=True)
                first = 0 if left is None else left.number + 1
                if first < step.number:
                    await self._coverage.reread(step, first)
                continue
            await self._coverage.part(await self._parted(step))

    async def _filled_up_to(self, told: Sequence[Told]) -> dict[int, dict[Holding, int]]:
        """By chain and balance; history that is being filled for the first time may end at a record that is there."""
        loose = loose_by_chain(told)
        tops = {each: dict(await self._coverage.filled_up_to(each, among)) for each, among in loose.items()}
        new = [
            RecordKey(each.chain_id, each.holding, each.number)
            for each in told
            if isinstance(each, Loose) and each.holding not in tops[each.chain_id]
        ]
        older = await self._balances.all_below(new, heard=True) if new else {}
        for (chain_id, holding, _), record in older.items():
            tops[chain_id][holding] = min(record.block.number, tops[chain_id].get(holding, record.block.number))
        return tops

    async def _parted(self, step: Parting) -> list[tuple[Apart, int]]:
        below = {apart: RecordKey(apart.chain_id, apart.holding, number) for apart, number in step.each}
        older = await self._balances.all_below(tuple(below.values()), heard=True)
        known = {apart: older[key].block.number if key in older else -1 for apart, key in below.items()}
        firsts = {apart: max(number, apart.known) + 1 for apart, number in known.items()}
        return [(apart, first) for apart, first in firsts.items() if first < apart.number]

    async def _grounded(self, step: Rejoining) -> Rejoining:
        if step.cut is None:
            return step
        left = await self._balances.block_at_or_below(step.chain_id, step.cut.above, heard=True)
        return step.grounded(-1 if left is None else left.number)

    async def forget(self, before: datetime) -> int:
        """Delete records older than that time; how many."""
        return await self._balances.forget(before) + await self._accounts.forget(before)
