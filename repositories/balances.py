"""Current balances and their history, projected from the log; what is asked of them is in `queries.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from bson import Int64

from indexer.domain.chain import NATIVE, BlockHash, Holding
from indexer.domain.recording.records import (
    HISTORY_SEQ,
    JOINED,
    BalanceRecord,
    Cut,
    Projection,
    RecordKey,
    Settling,
    Void,
    cause_over,
    key_of,
    placed_causes,
    read_anew,
)
from indexer.domain.recording.uncounted import counted, over, recounted, uncounted
from indexer.domain.telling.facts import Joint
from repositories.database import BATCH, Database, Update
from repositories.documents.rows import Document, counted_row_of, current_row_of, joint_row_of, row_of
from repositories.failures import translating
from repositories.neighbours import Query, of_holding
from repositories.queries import BalanceQueries, id_of
from repositories.schema import HOLDING_KEY, RECORD_KEY

INSERTS_AT_ONCE: Final = 2
"""While the server has one batch, the next is made. In commits of 500, 11 % more records a second; of 50, no more."""


class BalanceBook(BalanceQueries):
    """Writes `balance_records` and `current_balances`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database
        self._settled: dict[int, Settling] = {}

    # --- writing ---

    async def project(self, projection: Projection) -> None:
        """Safe to repeat, whole or in any split: where a key is written twice, the higher `seq` stays."""
        for orphaned in _orphaned(projection):
            with translating:
                await self._records.delete_many(orphaned)
        if again := read_anew(projection):
            await self._add(again)
        for chain_id, cut in projection.cuts.items():
            with translating:
                await self._records.delete_many(_cut_off(chain_id, cut))
        await self._database.delete_each(self._records, [_voided(void) for void in projection.voided])
        records = list((await self._counted(projection)).values())
        oldest = await self.oldest_within(projection.filled)  # before there are many rows to look through
        if projection.restored:
            await self._add(records)
            await self._replace_current(await self._holding_again(projection))
        else:
            await _all_ended(
                self._add(records),
                self._replace_current(list(projection.current.values())),
            )
        await self._settle(projection.settled)
        await self._part(projection.voided)
        await self._recount(projection.ends, oldest)
        joining = [each for key, joint in projection.joints.items() for each in _joining(*key[:2], joint)]
        await self._database.update_each(self._records, joining)
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

    async def _counted(self, projection: Projection) -> Mapping[RecordKey, BalanceRecord]:
        """Its records, each with its change, also where the store alone knows from what."""
        return counted(projection, await self.all_below(uncounted(projection)))

    async def _part(self, voided: Collection[Void]) -> None:
        """Records that counted from history that is gone, or were joined to it, count from what is left below."""
        parted = {key_of(record): record for record in await self.heard_over(voided)}
        nearest = await self.all_above([void.end for void in voided])
        above = {key_of(record): record for record in nearest if record.seq != HISTORY_SEQ} | parted
        below = await self.all_below(above)
        rows = {key: (over if key in parted else recounted)(row, below.get(key)) for key, row in above.items()}
        changed = [row for key, row in rows.items() if row != above[key]]
        await self._database.update_each(self._records, [_counting(row) for row in changed])

    async def _recount(self, ends: Collection[RecordKey], oldest: Collection[BalanceRecord]) -> None:
        """Records above history that does not reach up to them: it may be what they had counted as their own change.

        And those that were the `oldest`, and have history below them now.
        """
        above = {key_of(record): record for record in (*await self.all_above(ends), *oldest)}
        below = await self.all_below(above)
        rows = {key: recounted(above[key], older) for key, older in below.items()}
        changed = [row for key, row in rows.items() if row != above[key]]
        await self._database.update_each(self._records, [_counting(row) for row in changed])

    async def _add(self, records: Sequence[BalanceRecord]) -> None:
        batches = _batches(records)
        await _all_ended(*(self._add_each(batches) for _ in range(INSERTS_AT_ONCE)))

    async def _add_each(self, batches: Iterator[Sequence[BalanceRecord]]) -> None:
        for batch in batches:
            there = await self._database.insert_new(self._records, self._rows_of(batch))
            if not there:
                continue
            again = [batch[place] for place in there]
            older = await self.told_before(again)
            rows = self._rows_of([record.upon(older.get(key_of(record))) for record in again])
            await self._database.replace_older(self._records, rows, RECORD_KEY)

    def _rows_of(self, records: Sequence[BalanceRecord]) -> list[Document]:
        rows = [row_of(record) for record in records]
        return [{"_id": id_of(row, RECORD_KEY), **row} for row in rows] if self._database.in_memory else rows

    async def _replace_current(self, records: Sequence[BalanceRecord]) -> None:
        for batch in _batches(records):
            rows = [current_row_of(record) for record in batch]
            rows = [{"_id": id_of(row, HOLDING_KEY), **row} for row in rows]
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


def _voided(void: Void) -> Query:
    """What lies above was told by another order, whose records stand or are taken back by themselves."""
    blocks = {"blockNumber": {"$gte": void.first, "$lte": void.last}}
    return {**of_holding(void.chain_id, void.holding), **blocks, "seq": HISTORY_SEQ}


def _counting(record: BalanceRecord) -> Update:
    """Only the record that is meant: repeating it changes nothing."""
    its_own = {**of_holding(record.chain_id, record.holding), "blockNumber": record.block.number}
    return {**its_own, "blockHash": record.block.hash}, {"$set": counted_row_of(record)}


def _joining(chain_id: int, holding: Holding, joint: Joint) -> Iterator[Update]:
    """Only the record that is meant: repeating it changes nothing, in whatever order."""
    its_own: Query = {**of_holding(chain_id, holding), "blockNumber": joint.number}
    meant, placed = dict[str, Any](), list(placed_causes(holding))
    if joint.block_hash is not None:
        its_own["blockHash"] = joint.block_hash
    else:  # joints of before: another may be in its place, but none that refers to something
        is_open = ({"changeAmount": None}, {"cause": {"$in": list(JOINED)}}, {"joined": True}, {"apart": True})
        meant, placed = {"$or": list(is_open)}, ["first"]
    yield {**its_own, **meant}, {"$set": joint_row_of(joint)}
    if joint.transactions:
        return
    yield {**its_own, "cause": {"$in": placed}}, {"$set": {"cause": cause_over(holding, joint.change), "joined": True}}
    if holding.token == NATIVE and not meant:
        yield {**its_own, "cause": {"$nin": placed}}, {"$set": {"joined": True}}


def _orphaned(projection: Projection) -> Iterator[Query]:
    """Their numbers are indexed, their hashes are not: an index less to keep for what reorgs seldom need."""
    by_chain: dict[int, dict[int, list[BlockHash]]] = {}
    for (chain_id, block_hash), number in projection.orphaned.items():
        by_chain.setdefault(chain_id, {}).setdefault(number, []).append(block_hash)
    for chain_id, blocks in by_chain.items():
        hashes = [block_hash for found in blocks.values() for block_hash in found]
        yield {"blockNumber": {"$in": list(blocks)}, "blockHash": {"$in": hashes}, "chainId": chain_id}


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
