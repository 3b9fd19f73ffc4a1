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
from indexer.domain.health.standing import Standing
from indexer.domain.health.status import StreamStatus
from indexer.domain.measuring.course import reached
from indexer.domain.measuring.stats import Statistics
from indexer.domain.telling.commits import Event
from indexer.domain.telling.streams import exchange_stream
from indexer.errors import NotFound

if TYPE_CHECKING:
    from indexer.app.listeners import Callback, Unlisten
    from indexer.app.service import Service
    from repositories.accounts import AccountBooks


@dataclass(frozen=True, slots=True)
class CurrentRecord(AccountRecord):
    """What is held now; `stale`: only what was known last, as in `GET .../balances`."""

    stale: bool = False


@dataclass(frozen=True, slots=True)
class AssetHeld:
    """One asset of an account, wallet by wallet."""

    asset: str
    wallets: Mapping[Wallet, CurrentRecord]

    @property
    def stale(self) -> bool:
        """Whether any of it is only what was known last."""
        return any(record.stale for record in self.wallets.values())

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
        """The newest amounts of an asset in all wallets, or in one; nothing where nothing was ever told of it.

        A wallet that is not followed is `NotFound`, as over HTTP.
        """
        rows = await self._current(wallet, asset)
        return AssetHeld(asset, {row.slot.wallet: row for row in rows}) if rows else None

    async def balances(self, wallet: Wallet | None = None) -> Sequence[CurrentRecord]:
        """Everything that it holds, by wallet and asset; never behind an event that a callback has been given."""
        return await self._current(wallet)

    async def _current(self, wallet: Wallet | None, asset: str | None = None) -> Sequence[CurrentRecord]:
        books = await self._books()
        rows = await books.current(self.key, wallets=self._followed(wallet), asset=asset)
        standing = Standing(self._service.report.streams())
        return [
            CurrentRecord(
                row.account, row.held, row.change, row.cause, row.seq, row.time, standing.is_stale(self.key, row.slot)
            )
            for row in rows
        ]

    async def _books(self) -> AccountBooks:
        """Once all is in them that was told."""
        self._service.check_running()
        await self._service.positions.caught_up()
        return self._service.store.accounts

    def _followed(self, wallet: Wallet | None) -> Collection[Wallet]:
        """What was followed once is held no longer, as far as we know."""
        accounts = (account for account in self._service.accounts.all() if account.key == self.key)
        followed = {one for account in accounts for one in account.wallets}
        if wallet is None:
            return followed
        if wallet not in followed:
            raise NotFound(f"the {wallet} wallet of {self.key} is not followed", "wallet")
        return {wallet}

    async def refresh(self, *wallets: Wallet) -> Sequence[CurrentRecord]:
        """Read these wallets now, or all; what it holds then."""
        self._service.check_running()
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
        """Newest first; `before` is a `seq`, exclusive. `NotFound` where nothing was ever known of it."""
        books = await self._books()
        slot = Slot(wallet, asset)
        rows = await books.history(self.key, slot, limit=limit, before=before, start=start, end=end)
        if not rows:
            await self._refuse_unknown(books, slot)
        return rows

    async def stats(
        self, wallet: Wallet, asset: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> Statistics[AssetStats]:
        books, until = await self._books(), reached(end, datetime.now(UTC))
        stats = await books.stats(self.key, Slot(wallet, asset), start=start, end=end, until=until)
        if stats.course is None:
            await self._refuse_unknown(books, Slot(wallet, asset))
        return stats

    async def _refuse_unknown(self, books: AccountBooks, slot: Slot) -> None:
        """Nothing in a time range is an answer; nothing known at all is not."""
        if await books.one(self.key, slot) is None:
            raise NotFound(f"nothing is known about {slot.asset} in the {slot.wallet} wallet of {self.key}")

    async def positions(self) -> Sequence[PositionRecord]:
        return await (await self._books()).positions(self.key)

    async def fundings(
        self,
        *,
        limit: int = 100,
        before: datetime | Funding | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Sequence[Funding]:
        """Newest first; those before a time, or those that follow this one, the last of the page before.

        `start` and `end` are inclusive.
        """
        books = await self._books()
        time, after_id = (before.time, before.id) if isinstance(before, Funding) else (before, None)
        return await books.fundings(self.key, limit=limit, before=time, after_id=after_id, start=start, end=end)

    def status(self) -> StreamStatus:
        """How it is doing: its state, its breaker, what cannot be read."""
        self._service.check_running()
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
