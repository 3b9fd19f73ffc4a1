"""Everything that is projected from the log, as the projector and the janitor see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from indexer.domain.holes import Apart, Parting, Rejoining, Rereading, loose_by_chain, steps, where_filled
from indexer.domain.jobs import orders_of
from indexer.domain.records import Projection
from repositories.accounts import AccountBooks
from repositories.backfills import BackfillBook
from repositories.balances import BalanceBook
from repositories.coverage import Coverage


class Books:
    """Chains' balances and exchange accounts, each in collections of their own, and what was passed over as orders."""

    def __init__(
        self, balances: BalanceBook, accounts: AccountBooks, backfills: BackfillBook, coverage: Coverage
    ) -> None:
        self._balances = balances
        self._accounts = accounts
        self._backfills = backfills
        self._coverage = coverage

    async def project(self, projection: Projection) -> None:
        """Safe to repeat, whole or in any split."""
        await self._balances.project(projection)
        if projection.accounts:
            await self._accounts.project(projection.accounts)
        for gap in projection.gaps:
            await self._backfills.offer(orders_of(gap))
        loose = loose_by_chain(projection.holes)
        tops = {chain_id: await self._coverage.filled_up_to(chain_id, among) for chain_id, among in loose.items()}
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
            await self._coverage.part([each async for each in self._parted(step)])

    async def _parted(self, step: Parting) -> AsyncIterator[tuple[Apart, int]]:
        for apart, below in zip(step.each, step.belows, strict=True):
            older = await self._balances.heard_below(apart.chain_id, apart.holding, below)
            first = 0 if older is None else older.block.number + 1
            if first < apart.number:
                yield apart, first

    async def _grounded(self, step: Rejoining) -> Rejoining:
        if step.cut is None:
            return step
        left = await self._balances.block_at_or_below(step.chain_id, step.cut.above, heard=True)
        return step.grounded(-1 if left is None else left.number)

    async def forget(self, before: datetime) -> int:
        """Delete records older than that time; how many."""
        return await self._balances.forget(before) + await self._accounts.forget(before)
