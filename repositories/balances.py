"""Current balances and their history: what queries read, projected from the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from bson import Int64

from indexer.domain.chain import Address, BlockRef, Holding, Token
from indexer.domain.facts import Joint
from indexer.domain.finality import Settled
from indexer.domain.records import HISTORY_SEQ, BalanceRecord, Cut, Projection, Settling
from indexer.domain.stats import Stats, Tally
from repositories.database import BATCH, Database
from repositories.failures import translating
from repositories.rows import current_row_of, record_of, row_of
from repositories.schema import HOLDING_KEY, RECORD_KEY

Query = dict[str, Any]

INSERTS_AT_ONCE: Final = 2
"""While the server has one batch, the next is made. In commits of 500, 11 % more records a second; of 50, no more."""


class BalanceBook:
    """`balance_records` and `current_balances`; numbers are strings there, so nothing is ever sorted by balance."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records = database["balance_records"]
        self._current = database["current_balances"]
        self._finality = database["finality"]
        self._settled: dict[int, Settling] = {}

    # --- writing ---

    async def project(self, projection: Projection) -> None:
        """Safe to repeat, whole or in any split: where a key is written twice, the higher `seq` stays."""
        for (chain_id, block_hash), number in projection.orphaned.items():
            with translating:
                # The number is indexed, the hash is not: an index less to keep for what reorgs seldom need.
                await self._records.delete_many({"blockNumber": number, "blockHash": block_hash, "chainId": chain_id})
        for chain_id, cut in projection.cuts.items():
            with translating:
                await self._records.delete_many(_cut_off(chain_id, cut))
        for (chain_id, holding), first in projection.voided.items():
            with translating:
                await self._records.delete_many(
                    {**_of(chain_id, holding), "blockNumber": {"$gte": first}, "seq": HISTORY_SEQ}
                )
        if projection.restored:
            await self._add(list(projection.records.values()))
            await self._replace_current(await self._holding_again(projection))
        else:
            await _all_ended(
                self._add(list(projection.records.values())),
                self._replace_current(list(projection.current.values())),
            )
        await self._settle(projection.settled)
        for (chain_id, holding), joint in projection.joints.items():
            await self._join(chain_id, holding, joint)
        for chain_id, cut in projection.cuts.items():
            with translating:
                # Last, so that a balance that is watched is never absent; these are of wallets no longer watched.
                await self._current.delete_many(_cut_off(chain_id, cut))

    async def _holding_again(self, projection: Projection) -> list[BalanceRecord]:
        """The current balances; after a reorg, the record of history that holds again stands for the ancestor."""
        rows = []
        for key, record in projection.current.items():
            older = None
            if key in projection.restored:
                older = await self.at_block(key.chain_id, key.holding, record.block.number)
            rows.append(record if older is None else replace(older, seq=record.seq))
        return rows

    async def _add(self, records: Sequence[BalanceRecord]) -> None:
        batches = _batches(records)
        await _all_ended(*(self._add_each(batches) for _ in range(INSERTS_AT_ONCE)))

    async def _add_each(self, batches: Iterator[Sequence[BalanceRecord]]) -> None:
        for batch in batches:
            rows = [row_of(record) for record in batch]
            if self._database.in_memory:
                rows = [{"_id": _id_of(row, RECORD_KEY), **row} for row in rows]
            there = await self._database.insert_new(self._records, rows)
            if there and not self._database.in_memory:
                # The driver gave them an `_id` on the way, which is not that of the row in their place.
                there = [{key: value for key, value in row.items() if key != "_id"} for row in there]
            await self._database.replace_older(self._records, there, RECORD_KEY)

    async def _replace_current(self, records: Sequence[BalanceRecord]) -> None:
        for batch in _batches(records):
            rows = [current_row_of(record) for record in batch]
            rows = [{"_id": _id_of(row, HOLDING_KEY), **row} for row in rows]
            await self._database.replace_older(self._current, rows, ("_id",))

    async def _settle(self, settled: Mapping[int, Settling]) -> None:
        """Written only where it moved: seldom, while every block brings a projection."""
        moved = {
            chain_id: new
            for chain_id, new in settled.items()
            if (last := self._settled.get(chain_id)) is None or (new.seq > last.seq and new.settled != last.settled)
        }
        rows = [
            {
                "_id": str(chain_id),
                "chainId": Int64(chain_id),
                "safe": Int64(new.settled.safe),
                "finalized": Int64(new.settled.finalized),
                "seq": Int64(new.seq),
            }
            for chain_id, new in moved.items()
        ]
        await self._database.replace_older(self._finality, rows, ("_id",))
        self._settled.update(moved)

    async def _join(self, chain_id: int, holding: Holding, joint: Joint) -> None:
        """Only a record that had nothing to refer to, so that repeating it changes nothing."""
        changed: Query = {"changeAmount": str(joint.change)}
        if joint.transactions:
            changed |= {
                "cause": "transfer",
                "transactionHash": joint.transactions[-1],
                "transactionHashes": list(joint.transactions),
            }
        with translating:
            await self._records.update_one(
                {
                    **_of(chain_id, holding),
                    "blockNumber": joint.number,
                    "$or": [{"changeAmount": None}, {"cause": "resync"}],
                },
                {"$set": changed},
            )

    async def forget(self, before: datetime) -> int:
        """Delete records older than that time, but the newest of them per balance: it still holds then."""
        gone = 0
        with translating:
            async for row in self._current.find({}, dict.fromkeys(HOLDING_KEY, 1)):
                key = {name: row[name] for name in HOLDING_KEY}
                last = await self._records.find_one(
                    {**key, "timestamp": {"$lt": before}}, {"blockNumber": 1}, sort=[("blockNumber", -1)]
                )
                if last is not None:
                    older = {**key, "blockNumber": {"$lt": last["blockNumber"]}}
                    gone += (await self._records.delete_many(older)).deleted_count
        return gone

    # --- reading ---

    async def current(
        self,
        *,
        chain_id: int | None = None,
        token: Token | None = None,
        solver: Address | None = None,
        after: tuple[int, Token, Address] | None = None,
        limit: int = 100,
    ) -> list[BalanceRecord]:
        """In the order of (chain id, token, solver), beginning after `after`."""
        wanted = zip(HOLDING_KEY, (chain_id, token, solver), strict=True)
        query: Query = {name: value for name, value in wanted if value is not None}
        if after is not None:
            query["$or"] = _beyond(after)
        with translating:
            cursor = self._current.find(query).sort([(key, 1) for key in HOLDING_KEY]).limit(limit)
            return await self._as_settled([record_of(row) async for row in cursor])

    async def settled(self, chain_id: int) -> Settled:
        """How far the chain is settled, as far as it was told."""
        with translating:
            row = await self._finality.find_one({"_id": str(chain_id)})
        return Settled() if row is None else Settled(int(row["safe"]), int(row["finalized"]))

    async def balances_of(self, chain_id: int) -> dict[Holding, BalanceRecord]:
        """All current balances of a chain, watched still or not."""
        with translating:
            rows = [record_of(row) async for row in self._current.find({"chainId": chain_id})]
        return {row.holding: row for row in rows}

    async def block_at_or_below(self, chain_id: int, number: int) -> BlockRef | None:
        """The highest block up to `number` of which there is a record."""
        query: Query = {"chainId": chain_id, "blockNumber": {"$lte": number}}
        with translating:
            row = await self._records.find_one(query, sort=[("blockNumber", -1)])
        return None if row is None else record_of(row).block

    async def one(self, chain_id: int, holding: Holding) -> BalanceRecord | None:
        with translating:
            row = await self._current.find_one(_of(chain_id, holding))
        return await self._one_as_settled(row)

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None:
        """The newest record at or before block `number`."""
        return await self._newest({**_of(chain_id, holding), "blockNumber": {"$lte": number}})

    async def at_time(self, chain_id: int, holding: Holding, time: datetime) -> BalanceRecord | None:
        """The newest record at or before `time`."""
        return await self._newest({**_of(chain_id, holding), "timestamp": {"$lte": time.astimezone(UTC)}})

    async def _newest(self, query: Query) -> BalanceRecord | None:
        with translating:
            row = await self._records.find_one(query, sort=[("blockNumber", -1)])
        return await self._one_as_settled(row)

    async def _one_as_settled(self, row: Query | None) -> BalanceRecord | None:
        return None if row is None else (await self._as_settled([record_of(row)]))[0]

    async def _as_settled(self, records: list[BalanceRecord]) -> list[BalanceRecord]:
        """As sure as each is now. Asked after the rows were read: a reorg in between can only make them less sure.

        What was filled in later was often final already when it was written, and stays so.
        """
        chains = {record.chain_id for record in records}
        settled = {chain_id: await self.settled(chain_id) for chain_id in chains}
        return [
            record if level == record.finality else replace(record, finality=level)
            for record in records
            for level in (settled[record.chain_id].at_least(record.finality, record.block.number),)
        ]

    async def next_after(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None:
        """The oldest record above block `number`; nothing where there is none."""
        query: Query = {**_of(chain_id, holding), "blockNumber": {"$gt": number}}
        with translating:
            row = await self._records.find_one(query, sort=[("blockNumber", 1)])
        return None if row is None else record_of(row)

    async def oldest(self, chain_id: int, holding: Holding, above: int = -1) -> BalanceRecord | None:
        """The oldest record above block `above`."""
        query: Query = {**_of(chain_id, holding), "blockNumber": {"$gt": above}}
        with translating:
            row = await self._records.find_one(query, sort=[("blockNumber", 1)])
        return None if row is None else record_of(row)

    async def history(
        self,
        chain_id: int,
        holding: Holding,
        *,
        limit: int,
        before: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[BalanceRecord]:
        """Newest first; `before` is a block number, exclusive; `start` and `end` are inclusive."""
        query: Query = {**_of(chain_id, holding), **_between(start, end)}
        if before is not None:
            query["blockNumber"] = {"$lt": before}
        with translating:
            cursor = self._records.find(query).sort("blockNumber", -1).limit(limit)
            return await self._as_settled([record_of(row) async for row in cursor])

    async def sample(self, count: int) -> list[BalanceRecord]:
        """That many records, at random (fewer where there are fewer), each once."""
        with translating:
            rows = [row async for row in self._records.aggregate([{"$sample": {"size": count}}])]
        # The server may hand out the same document twice.
        once = {_id_of(row, RECORD_KEY): row for row in rows}
        return [record_of(row) for row in once.values()]

    async def stats(
        self, chain_id: int, holding: Holding, *, start: datetime | None = None, end: datetime | None = None
    ) -> Stats | None:
        """Over the records from `start` to `end`, both inclusive; one row in memory at a time."""
        tally = Tally()
        query: Query = {**_of(chain_id, holding), **_between(start, end)}
        with translating:
            async for row in self._records.find(query, {"balance": 1, "_id": 0}).sort("blockNumber", 1):
                tally.add(int(row["balance"]))
        return tally.stats()


def _batches(records: Sequence[BalanceRecord]) -> Iterator[Sequence[BalanceRecord]]:
    """Rows are made a batch at a time: those of 5,000 records at once would stop the loop for 50 ms."""
    return (records[start : start + BATCH] for start in range(0, len(records), BATCH))


async def _all_ended(*writes: Awaitable[None]) -> None:
    """At once, but never one left behind: an insert that outlives a failed sibling could follow a reorg's delete."""
    for outcome in await asyncio.gather(*writes, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _cut_off(chain_id: int, cut: Cut) -> Query:
    return {"chainId": chain_id, "blockNumber": {"$gt": cut.above}, "seq": {"$lt": cut.seq}}


def _of(chain_id: int, holding: Holding) -> Query:
    return {"chainId": chain_id, "tokenAddress": holding.token, "solverAddress": holding.solver}


def _between(start: datetime | None, end: datetime | None) -> Query:
    bounds = {"$gte": start, "$lte": end}
    times = {operator: time.astimezone(UTC) for operator, time in bounds.items() if time is not None}
    return {"timestamp": times} if times else {}


def _beyond(after: tuple[int, Token, Address]) -> list[Query]:
    """What follows a (chain id, token, solver) in their order, as three ranges of the index."""
    chain_id, token, solver = after
    return [
        {"chainId": {"$gt": chain_id}},
        {"chainId": chain_id, "tokenAddress": {"$gt": token}},
        {"chainId": chain_id, "tokenAddress": token, "solverAddress": {"$gt": solver}},
    ]


def _id_of(row: Query, key: tuple[str, ...]) -> str:
    return ":".join(str(row[name]) for name in key)
