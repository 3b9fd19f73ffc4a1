"""What is asked of current balances and their history; numbers are strings there, so nothing is sorted by balance."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from indexer.domain.chain import Address, Holding, Token
from indexer.domain.following.finality import Settled
from indexer.domain.measuring.course import Curve
from indexer.domain.measuring.stats import Statistics, Stats, Tally
from indexer.domain.recording.records import BalanceRecord
from repositories.database import Database
from repositories.documents.rows import record_of
from repositories.failures import translating
from repositories.moments import between, earlier_than
from repositories.neighbours import Neighbours, Query, of_holding
from repositories.schema import HOLDING_KEY, RECORD_KEY
from repositories.turns import in_turns

DRAWS: Final = 3
"""From everything there is, until a sample is looked for among what fits: the server goes through all of it then."""


class BalanceQueries(Neighbours):
    """Reads `balance_records` and `current_balances`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._current = database["current_balances"]
        self._finality = database["finality"]

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
            return await self._as_settled([record_of(row) async for row in in_turns(cursor)])

    async def settled(self, chain_id: int) -> Settled:
        """How far the chain is settled, as far as it was told."""
        with translating:
            row = await self._finality.find_one({"_id": str(chain_id)})
        return Settled() if row is None else Settled(int(row["safe"]), int(row["finalized"]))

    async def balances_of(self, chain_id: int) -> dict[Holding, BalanceRecord]:
        """All current balances of a chain, watched still or not."""
        with translating:
            rows = [record_of(row) async for row in in_turns(self._current.find({"chainId": chain_id}))]
        return {row.holding: row for row in rows}

    async def one(self, chain_id: int, holding: Holding) -> BalanceRecord | None:
        with translating:
            row = await self._current.find_one(of_holding(chain_id, holding))
        return await self._one_as_settled(row)

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None:
        """The newest record at or before block `number`."""
        return await self._newest({**of_holding(chain_id, holding), "blockNumber": {"$lte": number}})

    async def at_time(self, chain_id: int, holding: Holding, time: datetime) -> BalanceRecord | None:
        """The newest record at or before `time`."""
        return await self._newest({**of_holding(chain_id, holding), "timestamp": {"$lte": time.astimezone(UTC)}})

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
        query: Query = {**of_holding(chain_id, holding), **between(start, end)}
        if before is not None:
            query["blockNumber"] = {"$lt": before}
        with translating:
            cursor = self._records.find(query).sort("blockNumber", -1).limit(limit)
            return await self._as_settled([record_of(row) async for row in in_turns(cursor)])

    async def sample(self, count: int, chains: Collection[int]) -> list[BalanceRecord]:
        """That many records of these chains that were read, at random (fewer where there are fewer), each once.

        Drawn from everything, no server looks at all there is; only what is missing then is drawn from what fits.
        """
        fits: Query = {"chainId": {"$in": sorted(chains)}, "derived": False}
        once: dict[str, Query] = {}  # the server may hand out the same document twice
        with translating:
            for _ in range(DRAWS):
                drawn = self._records.aggregate([{"$sample": {"size": count}}, {"$match": fits}])
                once |= {id_of(row, RECORD_KEY): row async for row in drawn}
                if len(once) >= count:
                    break
            else:
                rest = {**fits, "_id": {"$nin": [row["_id"] for row in once.values()]}}
                drawn = self._records.aggregate([{"$match": rest}, {"$sample": {"size": count - len(once)}}])
                once |= {id_of(row, RECORD_KEY): row async for row in drawn}
        return [record_of(row) for row in islice(once.values(), count)]

    async def derived(self, chains: Collection[int], most: int) -> int:
        """How many records of these chains were never read, up to `most`."""
        with translating:
            fits = {"chainId": {"$in": sorted(chains)}, "derived": True}
            return int(await self._records.count_documents(fits, limit=most))

    async def stats(
        self,
        chain_id: int,
        holding: Holding,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        until: datetime | None = None,
    ) -> Statistics[Stats]:
        """Over the records from `start` to `end`, both inclusive; what held last goes on `until` then."""
        before = None if start is None else await self._newest({**of_holding(chain_id, holding), **earlier_than(start)})
        tally = Tally()
        if start is not None and before is not None:
            tally.curve = Curve(start.astimezone(UTC), before.balance)
        query: Query = {**of_holding(chain_id, holding), **between(start, end)}
        with translating:
            rows = self._records.find(query, {"balance": 1, "timestamp": 1, "_id": 0}).sort("blockNumber", 1)
            async for row in in_turns(rows):  # a batch in memory at a time
                tally.add(row["timestamp"], int(row["balance"]))
        return tally.statistics(until)


def id_of(row: Query, key: tuple[str, ...]) -> str:
    return ":".join(str(row[name]) for name in key)


def _beyond(after: tuple[int, Token, Address]) -> list[Query]:
    """What follows a (chain id, token, solver) in their order, as three ranges of the index."""
    chain_id, token, solver = after
    return [
        {"chainId": {"$gt": chain_id}},
        {"chainId": chain_id, "tokenAddress": {"$gt": token}},
        {"chainId": chain_id, "tokenAddress": token, "solverAddress": {"$gt": solver}},
    ]
