"""One exchange account, as Python programs ask and hear it."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from indexer.domain.accounts.amounts import AccountKey, Amounts, Measure, Slot, Wallet, plus
from indexer.domain.accounts.arrivals import Funding
from indexer.domain.accounts.records import AccountRecord, PositionRecord
from indexer.domain.accounts.registry import Account
from indexer.domain.accounts.stats import AssetStats
from indexer.domain.commits import Event
from indexer.domain.course import reached
from indexer.domain.stats import Statistics
from indexer.domain.status import StreamStatus
from indexer.domain.streams import exchange_stream

if TYPE_CHECKING:
    from indexer.app.listeners import Callback, Unlisten
    from indexer.app.service import Service


@dataclass(frozen=True, slots=True)
class AssetHeld:
    """One asset of an account, wallet by wallet."""

    asset: str
    wallets: Mapping[Wallet, AccountRecord]

    @property
    def measure(self) -> Measure | None:
        """What the amounts count; nothing where the wallets count differently."""
        measures = {record.held.measure for record in self.wallets.values()}
        return measures.pop() if len(measures) == 1 else None

    @property
    def amounts(self) -> Amounts:
        """Over all wallets; a part is known only where every wallet says it, and none where they count differently."""
        if self.measure is None:
            return Amounts()
        first, *others = (record.held.amounts for record in self.wallets.values())
        for one in others:
            first = Amounts(*(None if a is None or b is None else plus(a, b) for a, b in zip(first, one, strict=True)))
        return first


class Desk:
    """Made by `Indexer.account`; keeps nothing, so that any number of tasks may use it at once."""

    def __init__(self, service: Service, key: AccountKey) -> None:
        self._service = service
        self.key = key
        self.stream = exchange_stream(*key)

    @property
    def account(self) -> Account:
        return self._service.accounts.account(self.key)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def get_balance(self, asset: str, wallet: Wallet | None = None) -> AssetHeld | None:
        """The newest amounts of an asset in all wallets, or in one; nothing where nothing was ever told of it."""
        await self._service.positions.caught_up()
        rows = await self._service.store.accounts.current(self.key, wallets=self._followed(wallet), asset=asset)
        return AssetHeld(asset, {row.slot.wallet: row for row in rows}) if rows else None

    async def balances(self, wallet: Wallet | None = None) -> Sequence[AccountRecord]:
        """Everything that it holds, by wallet and asset; never behind an event that a callback has been given."""
        await self._service.positions.caught_up()
        return await self._service.store.accounts.current(self.key, wallets=self._followed(wallet))

    def _followed(self, wallet: Wallet | None) -> Collection[Wallet]:
        """What was followed once is held no longer, as far as we know."""
        accounts = (account for account in self._service.accounts.all() if account.key == self.key)
        return {one for account in accounts for one in account.wallets if wallet in (None, one)}

    async def refresh(self, *wallets: Wallet) -> Sequence[AccountRecord]:
        """Read these wallets now, or all; what it holds then."""
        await self._service.accounts.refresh(self.key, wallets)
        return await self.balances()

    async def history(
        self,
        wallet: Wallet,
        asset: str,
        *,
        limit: int = 100,
        before: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Sequence[AccountRecord]:
        """Newest first; `before` is a `seq`, exclusive."""
        await self._service.positions.caught_up()
        books = self._service.store.accounts
        return await books.history(self.key, Slot(wallet, asset), limit=limit, before=before, start=start, end=end)

    async def stats(
        self, wallet: Wallet, asset: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> Statistics[AssetStats]:
        await self._service.positions.caught_up()
        books, until = self._service.store.accounts, reached(end, datetime.now(UTC))
        return await books.stats(self.key, Slot(wallet, asset), start=start, end=end, until=until)

    async def positions(self) -> Sequence[PositionRecord]:
        await self._service.positions.caught_up()
        return await self._service.store.accounts.positions(self.key)

    async def fundings(self, *, limit: int = 100, before: datetime | Funding | None = None) -> Sequence[Funding]:
        """Newest first; those before a time, or those that follow this one, the last of the page before."""
        await self._service.positions.caught_up()
        time, after_id = (before.time, before.id) if isinstance(before, Funding) else (before, None)
        return await self._service.store.accounts.fundings(self.key, limit=limit, before=time, after_id=after_id)

    def status(self) -> StreamStatus:
        """How it is doing: its state, its breaker, what cannot be read."""
        found = {one.stream: one for one in self._service.report.streams()}
        return found.get(self.stream, StreamStatus(self.stream, str(self.key), "stopped"))

    # --- hearing -----------------------------------------------------------------------------------------------------

    def balance_update(self, callback: Callback) -> Unlisten:
        """Call back for every new amount of this account."""
        return self.listen(callback, "balance.updated")

    def balance_change(self, callback: Callback) -> Unlisten:
        """Call back only where a balance moved beyond the threshold."""
        return self.listen(callback, "balance.changed")

    def listen(self, callback: Callback, type: str | None = None) -> Unlisten:  # noqa: A002 - its name on the wire
        """Call back (a function or a coroutine function) for every event of this account, or of one type."""

        async def of_this_account(event: Event) -> None:
            if event.stream == self.stream:
                answer = callback(event)
                if inspect.isawaitable(answer):
                    await answer

        return self._service.listeners.add(of_this_account, type)
