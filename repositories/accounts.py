"""What exchange accounts hold and held, projected from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from indexer.domain.accounts.amounts import AccountKey, Slot
from indexer.domain.accounts.arrivals import Funding
from indexer.domain.accounts.fundings import LATE, Funded
from indexer.domain.accounts.records import AccountBook, AccountProjection, AccountRecord, PositionRecord
from indexer.domain.accounts.stats import AssetStats, AssetTally
from indexer.domain.measuring.course import Curve
from indexer.domain.measuring.stats import Statistics
from repositories.database import Database
from repositories.documents.account_rows import (
    account_query,
    account_record_of,
    account_row_of,
    baseline_row_of,
    funding_of,
    funding_row_of,
    position_record_of,
    position_row_of,
    slot_query,
)
from repositories.failures import translating
from repositories.moments import between, earlier_than
from repositories.schema import ACCOUNT_KEY, ACCOUNT_RECORD_KEY
from repositories.turns import in_turns

Query = dict[str, Any]

POSITION_KEY: Final = ("exchange", "account", "symbol")
FUNDING_KEY: Final = ("exchange", "account", "id")


class AccountBooks:
    """Writes and reads `account_records`, `current_accounts` and `account_` `positions`, `fundings`, `baselines`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records = database["account_records"]
        self._current = database["current_accounts"]
        self._positions = database["account_positions"]
        self._fundings = database["account_fundings"]
        self._baselines = database["account_baselines"]

    # --- writing ---

    async def project(self, projection: AccountProjection) -> None:
        """Safe to repeat, whole or in any split: where a key is written twice, the higher `seq` stays."""
        rows = [account_row_of(record) for record in projection.records]
        await self._database.insert_new(self._records, _named(rows, ACCOUNT_RECORD_KEY))
        current = [account_row_of(record) for record in projection.current().values()]
        await self._database.replace_older(self._current, _named(current, ACCOUNT_KEY), ("_id",))
        positions = [position_row_of(record) for record in projection.positions.values()]
        await self._database.replace_older(self._positions, _named(positions, POSITION_KEY), ("_id",))
        baselines = [baseline_row_of(record) for record in projection.baselines.values()]
        await self._database.replace_older(self._baselines, _named(baselines, ACCOUNT_KEY), ("_id",))
        fundings = [funding_row_of(record) for record in projection.fundings]
        await self._database.insert_new(self._fundings, _named(fundings, FUNDING_KEY))

    async def forget(self, before: datetime) -> int:
        """Delete what is older than that time, but the newest of these records per slot: it still holds then."""
        gone = await self._forget_fundings(before)
        with translating:
            async for row in self._current.find({}, dict.fromkeys(ACCOUNT_KEY, 1)):
                key = {name: row[name] for name in ACCOUNT_KEY}
                last = await self._records.find_one(
                    {**key, "timestamp": {"$lt": before}}, {"seq": 1}, sort=[("seq", -1)]
                )
                if last is not None:
                    gone += (await self._records.delete_many({**key, "seq": {"$lt": last["seq"]}})).deleted_count
        return gone

    async def _forget_fundings(self, before: datetime) -> int:
        """The last ones of each account stay: by them it knows which of those that the venue lists are new."""
        gone = 0
        account = {"exchange": "$exchange", "account": "$account"}
        with translating:
            async for row in self._fundings.aggregate([{"$group": {"_id": account, "newest": {"$max": "$timestamp"}}}]):
                end = min(before.astimezone(UTC), row["newest"] - LATE)
                gone += (await self._fundings.delete_many({**row["_id"], "timestamp": {"$lt": end}})).deleted_count
        return gone

    # --- reading ---

    async def of_account(self, account: AccountKey) -> AccountBook:
        """The newest of everything, for the account's actor to go on with."""
        held = {record.slot: record.held for record in await self.current(account)}
        positions = {record.position.symbol: record.position for record in await self.positions(account)}
        baselines = await self._measured_from(account)
        with translating:
            newest = await self._fundings.find_one(account_query(account), sort=[("timestamp", -1)])
        if newest is None:
            return AccountBook(held, positions, baselines=baselines)
        with translating:
            recent = {"timestamp": {"$gte": newest["timestamp"] - LATE}}
            ids = {
                str(row["id"]): row["timestamp"]
                async for row in self._fundings.find({**account_query(account), **recent})
            }
        return AccountBook(held, positions, Funded(newest["timestamp"], ids), baselines)

    async def _measured_from(self, account: AccountKey) -> dict[Slot, Decimal]:
        with translating:
            rows = self._baselines.find(account_query(account))
            return {Slot(row["wallet"], row["asset"]): Decimal(row["balance"]) async for row in rows}

    async def current(
        self,
        account: AccountKey | None = None,
        *,
        wallets: Collection[str] | None = None,
        asset: str | None = None,
        after: tuple[str, str, str, str] | None = None,
        limit: int = 0,
    ) -> list[AccountRecord]:
        """In the order of (exchange, account, wallet, asset), beginning after `after`; 0 is no limit."""
        query: Query = {} if account is None else account_query(account)
        query |= {} if wallets is None else {"wallet": {"$in": sorted(wallets)}}
        query |= {} if asset is None else {"asset": asset}
        if after is not None:
            query["$or"] = _beyond(after)
        with translating:
            cursor = self._current.find(query).sort([(key, 1) for key in ACCOUNT_KEY]).limit(limit)
            return [account_record_of(row) async for row in in_turns(cursor)]

    async def one(self, account: AccountKey, slot: Slot) -> AccountRecord | None:
        with translating:
            row = await self._current.find_one(slot_query(account, slot))
        return None if row is None else account_record_of(row)

    async def at_time(self, account: AccountKey, slot: Slot, time: datetime) -> AccountRecord | None:
        """The newest record at or before `time`."""
        return await self._newest({**slot_query(account, slot), "timestamp": {"$lte": time.astimezone(UTC)}})

    async def _newest(self, query: Query) -> AccountRecord | None:
        with translating:
            row = await self._records.find_one(query, sort=[("seq", -1)])
        return None if row is None else account_record_of(row)

    async def history(
        self,
        account: AccountKey,
        slot: Slot,
        *,
        limit: int,
        before: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[AccountRecord]:
        """Newest first; `before` is a `seq`, exclusive; `start` and `end` are inclusive."""
        query: Query = {**slot_query(account, slot), **between(start, end)}
        if before is not None:
            query["seq"] = {"$lt": before}
        with translating:
            cursor = self._records.find(query).sort("seq", -1).limit(limit)
            return [account_record_of(row) async for row in in_turns(cursor)]

    async def balances(
        self, account: AccountKey, slot: Slot, *, start: datetime | None = None, end: datetime | None = None
    ) -> AsyncIterator[tuple[datetime, Decimal]]:
        """Every known balance with its time, oldest first; a batch in memory at a time."""
        query: Query = {**slot_query(account, slot), **between(start, end)}
        with translating:
            cursor = self._records.find(query, {"total": 1, "free": 1, "timestamp": 1, "_id": 0}).sort("seq", 1)
            async for row in in_turns(cursor):
                text = row["free"] if row["total"] is None else row["total"]
                if text is not None:
                    yield row["timestamp"], Decimal(text)

    async def stats(
        self,
        account: AccountKey,
        slot: Slot,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        until: datetime | None = None,
    ) -> Statistics[AssetStats]:
        """Over the records from `start` to `end`, both inclusive; what held last goes on `until` then."""
        tally = AssetTally()
        if start is not None:
            earlier = await self._newest({**slot_query(account, slot), **earlier_than(start)})
            held = None if earlier is None else earlier.held.amounts.balance
            tally.curve = Curve(start.astimezone(UTC), held)
        async for time, balance in self.balances(account, slot, start=start, end=end):
            tally.add(time, balance)
        return tally.statistics(until)

    async def positions(self, account: AccountKey, *, after: str | None = None, limit: int = 0) -> list[PositionRecord]:
        """In the order of their symbols, `after` one of them; those that were closed are flat. No limit is all."""
        query = account_query(account) | ({} if after is None else {"symbol": {"$gt": after}})
        with translating:
            cursor = self._positions.find(query).sort("symbol", 1).limit(limit)
            return [position_record_of(row) async for row in in_turns(cursor)]

    async def fundings(
        self,
        account: AccountKey,
        *,
        limit: int,
        before: datetime | None = None,
        after_id: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Funding]:
        """Newest first; with `after_id` those at `before` that follow it as well: venues pay many at one time.

        `start` and `end` are inclusive.
        """
        query: Query = {**account_query(account), **between(start, end)}
        if before is not None:
            time = before.astimezone(UTC)
            older: list[Query] = [{"timestamp": {"$lt": time}}]
            query["$or"] = older if after_id is None else [*older, {"timestamp": time, "id": {"$gt": after_id}}]
        with translating:
            cursor = self._fundings.find(query).sort([("timestamp", -1), ("id", 1)]).limit(limit)
            return [funding_of(row) async for row in in_turns(cursor)]


def _named(rows: list[Query], key: tuple[str, ...]) -> list[Query]:
    """The unique key is in `_id` as well, which every server guards without another index."""
    return [{"_id": ":".join(str(row[name]) for name in key), **row} for row in rows]


def _beyond(after: tuple[str, ...]) -> list[Query]:
    """What follows a key in its order, as ranges of the index."""
    return [
        {**dict(zip(ACCOUNT_KEY[:depth], after[:depth], strict=True)), ACCOUNT_KEY[depth]: {"$gt": after[depth]}}
        for depth in range(len(ACCOUNT_KEY))
    ]
