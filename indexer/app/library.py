"""The same service for Python programs: start it, ask it, listen to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from indexer.addresses import checksum
from indexer.app.desk import Desk
from indexer.app.listeners import Callback, Unlisten
from indexer.app.service import Service
from indexer.app.sync import SyncFace
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.chain import NATIVE, Holding
from indexer.domain.measuring.course import reached
from indexer.domain.measuring.stats import Statistics, Stats
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.watching import Solver, WatchedToken
from indexer.errors import NotFound


class Indexer(Service):
    """`async with Indexer(settings) as indexer: ...` runs all of it inside your event loop.

    `serve=False` leaves out HTTP and the websocket.
    """

    async def current_balance(self, chain: str | int, token: str, solver: str) -> BalanceRecord | None:
        """The newest balance, never behind an event that a listener has been given."""
        chain_id, holding = self._chain_id(chain), _holding(token, solver)
        await self.positions.caught_up()
        record = await self.store.balances.one(chain_id, holding)
        return None if holding in self.watching.due(chain_id) else record

    async def history(
        self, chain: str | int, token: str, solver: str, *, limit: int = 100, before: int | None = None
    ) -> Sequence[BalanceRecord]:
        """Newest first."""
        chain_id, holding = self._chain_id(chain), _holding(token, solver)
        await self.positions.caught_up()
        return await self.store.balances.history(chain_id, holding, limit=limit, before=before)

    async def stats(
        self,
        chain: str | int,
        token: str,
        solver: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Statistics[Stats]:
        chain_id, holding = self._chain_id(chain), _holding(token, solver)
        await self.positions.caught_up()
        until = reached(end, datetime.now(UTC))
        return await self.store.balances.stats(chain_id, holding, start=start, end=end, until=until)

    async def add_solver(self, name: str, address: str, chains: Sequence[str | int] | None = None) -> Solver:
        ids = None if chains is None else [self._chain_id(chain) for chain in chains]
        return await self.watching.add_solver(name, checksum(address), ids)

    async def remove_solver(self, name: str) -> None:
        await self.watching.remove_solver(name)

    async def add_tokens(self, chain: str | int, addresses: Sequence[str]) -> Sequence[WatchedToken]:
        tokens, _ = await self.watching.add_tokens(self._chain_id(chain), [checksum(each) for each in addresses])
        return tokens

    async def remove_token(self, chain: str | int, address: str) -> None:
        await self.watching.remove_token(self._chain_id(chain), checksum(address))

    def account(self, exchange: str, name: str) -> Desk:
        """One exchange account that is followed: its balances, history, callbacks."""
        key = AccountKey(exchange, name)
        self.accounts.account(key)
        return Desk(self, key)

    def sync(self) -> SyncFace:
        """The same calls for other threads; made in the thread that the service runs in."""
        return SyncFace(self, asyncio.get_running_loop())

    def listen(self, callback: Callback, type: str | None = "balance.updated") -> Unlisten:  # noqa: A002 - its name on the wire
        """Call back (a function or a coroutine function) for every event of this type; None means all."""
        return self.listeners.add(callback, type)

    def _chain_id(self, chain: str | int) -> int:
        chains = self.watching.chains()
        chain_id = chain if isinstance(chain, int) else chains.get(chain)
        if chain_id is None or chain_id not in chains.values():
            raise NotFound(f"chain {chain!r} is not configured; there are {', '.join(sorted(chains))}", field="chain")
        return chain_id


def _holding(token: str, solver: str) -> Holding:
    return Holding(NATIVE if token == NATIVE else checksum(token), checksum(solver))
