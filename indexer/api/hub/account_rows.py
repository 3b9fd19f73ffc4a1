"""The rows of a snapshot that are about exchange accounts: what is projected, and over it what was told meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from indexer.api.hub.filters import Filter, Wanted
from indexer.api.hub.ordering import in_parts, ordered
from indexer.api.hub.sources import CurrentAmounts, Followed, Log
from indexer.domain.accounts.amounts import AccountKey, AssetKey
from indexer.domain.accounts.records import AccountRecord
from indexer.domain.recording.records import fold
from indexer.domain.telling.streams import account_of, exchange_stream

ROWS: Final = 1_000
COMMITS: Final = 100
QUERIES: Final = 20
"""With more different questions than that, one walk over everything costs less."""

Rows = dict[AssetKey, AccountRecord]
_Query = tuple[AccountKey | None, str | None, str | None]


class AccountRows:
    """Reads them, completes them, and shows those of accounts and wallets that are followed now."""

    def __init__(self, *, log: Log, amounts: CurrentAmounts, accounts: Followed) -> None:
        self._log = log
        self._amounts = amounts
        self._accounts = accounts

    async def read(self, filters: Sequence[Filter], stream: str | None) -> Rows:
        """What is projected of what the filters cover; of one account where its stream is named."""
        rows: Rows = {}
        for query in self._queries(filters, stream):
            async for row in self._pages(*query):
                rows[row.key] = row
        return rows

    async def lay_over(self, rows: Rows, stream: str, seen: int, last: int) -> None:
        """What was told of this account after `seen`, up to `last`."""
        while seen < last:
            commits = [commit for commit in await self._log.since(stream, seen, COMMITS) if commit.first_seq <= last]
            if not commits:
                return
            seen = commits[-1].last_seq
            for commit in commits:
                for key, row in fold([commit]).accounts.current().items():
                    held = rows.get(key)
                    if held is None or held.seq < row.seq:
                        rows[key] = row
                await asyncio.sleep(0)

    async def shown(self, rows: Mapping[AssetKey, AccountRecord], wanted: Wanted) -> Sequence[AccountRecord]:
        """In the order of the accounts, their wallets and assets."""
        followed = {account.key: account.wallets for account in self._accounts.all()}

        def is_shown(key: AssetKey) -> bool:
            return key.slot.wallet in followed.get(key.account, ()) and wanted.covers_amount(*key)

        return await ordered(rows, is_shown)

    def concerns(self, filters: Sequence[Filter], stream: str) -> bool:
        """Whether rows of this stream can be among what is read for these filters."""
        key = account_of(stream)
        return key is not None and any(one.wants_amounts and one.names(key) for one in filters)

    def _queries(self, filters: Sequence[Filter], stream: str | None) -> set[_Query]:
        keys = [account.key for account in self._accounts.all() if stream in (None, exchange_stream(*account.key))]
        queries: set[_Query] = {
            (key, one.wallet, one.asset) for one in filters if one.wants_amounts for key in keys if one.names(key)
        }
        return queries if len(queries) <= QUERIES else {(None, None, None)}

    async def _pages(
        self, account: AccountKey | None, wallet: str | None, asset: str | None
    ) -> AsyncIterator[AccountRecord]:
        after: tuple[str, str, str, str] | None = None
        wallets = None if wallet is None else (wallet,)
        while True:
            page = await self._amounts.current(account, wallets=wallets, asset=asset, after=after, limit=ROWS)
            for row in page:
                yield row
            if len(page) < ROWS:
                return
            after = (*page[-1].account, *page[-1].slot)


async def newest(rows: Mapping[AssetKey, AccountRecord]) -> Mapping[str, int]:
    """Per stream the highest number among these."""
    found: dict[AccountKey, int] = {}
    async for part in in_parts(rows.values()):
        for row in part:
            found[row.account] = max(row.seq, found.get(row.account, 0))
    return {exchange_stream(*account): seq for account, seq in found.items()}
