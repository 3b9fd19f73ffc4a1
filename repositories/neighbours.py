"""Records beside others: what lies below and above them, asked when some are written and when history is filled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, TypeVar

from indexer.domain.chain import BlockRef, Holding, Token
from indexer.domain.recording.records import (
    FOUND_LATE,
    HISTORY_SEQ,
    JOINED,
    BalanceRecord,
    Filled,
    RecordKey,
    Void,
    key_of,
)
from repositories.database import BATCH, Database
from repositories.documents.rows import record_of
from repositories.failures import translating
from repositories.turns import in_turns

Query = dict[str, Any]
T = TypeVar("T")

TOGETHER: Final = 32
"""Questions at once."""

MOST_FOUND_LATE: Final = 10_000
"""They are in memory at once while the blocks around them are told."""


class Neighbours:
    """Reads `balance_records`."""

    def __init__(self, database: Database) -> None:
        self._records = database["balance_records"]

    async def block_at_or_below(self, chain_id: int, number: int, *, heard: bool = False) -> BlockRef | None:
        """The highest block up to `number` of which there is a record; or one that was `heard` live, not filled in."""
        query: Query = {"chainId": chain_id, "blockNumber": {"$lte": number}}
        if heard:
            query["seq"] = {"$gt": HISTORY_SEQ}
        with translating:
            row = await self._records.find_one(query, sort=[("blockNumber", -1)])
        return None if row is None else record_of(row).block

    async def next_after(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None:
        """The oldest record above block `number`; nothing where there is none."""
        query: Query = {**of_holding(chain_id, holding), "blockNumber": {"$gt": number}}
        with translating:
            row = await self._records.find_one(query, sort=[("blockNumber", 1)])
        return None if row is None else record_of(row)

    async def oldest(self, chain_id: int, holding: Holding, above: int = -1) -> BalanceRecord | None:
        """The oldest record above block `above`."""
        query: Query = {**of_holding(chain_id, holding), "blockNumber": {"$gt": above}}
        with translating:
            row = await self._records.find_one(query, sort=[("blockNumber", 1)])
        return None if row is None else record_of(row)

    async def newest_loose(self, chain_id: int, holding: Holding, above: int) -> BalanceRecord | None:
        """The newest record above block `above` that does not know the one before it, as the oldest never does.

        One of a resync, or one before which nobody watched, says what changed since a record that may be gone, or from
        before blocks that nobody looked at; whether those were filled in since, it does not say.
        """
        knows_nothing = {"$or": [{"changeAmount": None}, {"cause": "resync"}, {"apart": True}]}
        query: Query = {**of_holding(chain_id, holding), "blockNumber": {"$gt": above}, **knows_nothing}
        with translating:
            row = await self._records.find_one(query, sort=[("blockNumber", -1)])
        return None if row is None else record_of(row)

    async def all_below(self, keys: Collection[RecordKey], *, heard: bool = False) -> dict[RecordKey, BalanceRecord]:
        """By key the newest record below it, of those that have one; most of many new ones have none.

        Only such as were `heard` live, or any.
        """
        found: dict[RecordKey, BalanceRecord] = {}
        kind: Query = {"seq": {"$gt": HISTORY_SEQ}} if heard else {}
        for part in _parts(list(keys), BATCH):
            queries = [
                {**of_holding(key.chain_id, key.holding), "blockNumber": {"$lt": key.number}, **kind} for key in part
            ]
            with translating:
                is_any = await self._records.find_one({"$or": queries}, {"_id": 1})
            for some in _parts(list(zip(part, queries, strict=True)), TOGETHER) if is_any else ():
                with translating:
                    rows = await asyncio.gather(
                        *(self._records.find_one(query, sort=[("blockNumber", -1)]) for _, query in some)
                    )
                found.update((key, record_of(row)) for (key, _), row in zip(some, rows, strict=True) if row)
        return found

    async def told_before(self, records: Sequence[BalanceRecord]) -> dict[RecordKey, BalanceRecord]:
        """What is recorded of the same blocks and was told before these, or with them in an earlier attempt."""
        found: dict[RecordKey, BalanceRecord] = {}
        for part in _parts(records, BATCH):
            places = [
                {
                    **of_holding(record.chain_id, record.holding),
                    "blockNumber": record.block.number,
                    "blockHash": record.block.hash,
                    "seq": {"$gt": HISTORY_SEQ, "$lte": record.seq},
                }
                for record in part
            ]
            with translating:
                rows = [record_of(row) async for row in self._records.find({"$or": places})]
            found.update((key_of(row), row) for row in rows)
        return found

    async def all_above(self, keys: Collection[RecordKey]) -> list[BalanceRecord]:
        """The oldest record above each, where there is one."""
        found: list[BalanceRecord | None] = []
        for part in _parts(list(keys), TOGETHER):
            found += await asyncio.gather(*(self.oldest(*key[:2], above=key.number) for key in part))
        return [record for record in found if record is not None]

    async def heard_over(self, voided: Collection[Void]) -> list[BalanceRecord]:
        """Records heard live in the blocks of history that is gone, or right above, that do not stand by themselves."""
        not_alone = {"$or": [{"cause": {"$in": list(JOINED)}}, {"joined": True}, {"apart": True}]}
        places: list[Query] = [
            {**of_holding(void.chain_id, void.holding), "blockNumber": {"$gte": void.first, "$lte": void.last + 1}}
            for void in voided
        ]
        return await self._heard(places, not_alone)

    async def oldest_within(self, filled: Collection[Filled]) -> list[BalanceRecord]:
        """Records heard live in the midst of these that say of themselves to be the oldest.

        Looked for in one place for all of a token that are told up to the same block: the server plans each by itself,
        and with one for each balance took three times as long. So some may be found of which less was told.
        """
        alike: dict[tuple[int, Token, int], list[Filled]] = {}
        within: dict[tuple[int, Holding], list[Filled]] = {}
        for one in filled:
            alike.setdefault((one.chain_id, one.holding.token, one.last), []).append(one)
            within.setdefault((one.chain_id, one.holding), []).append(one)
        places: list[Query] = [
            {
                "chainId": chain_id,
                "tokenAddress": token,
                "solverAddress": {"$in": [one.holding.solver for one in some]},
                "blockNumber": {"$gt": min(one.first for one in some), "$lte": last},
            }
            for (chain_id, token, last), some in alike.items()
        ]
        found = {key_of(row): row for row in await self._heard(places, {"cause": "first"})}
        return [row for key, row in found.items() if any(one.has_within(row) for one in within[key[:2]])]

    async def _heard(self, places: Sequence[Query], kind: Query) -> list[BalanceRecord]:
        """Records of that kind that were heard live in any of these places; without their logs."""
        found: list[BalanceRecord] = []
        for part in _parts(places, BATCH):
            query: Query = {"$and": [{"$or": list(part)}, kind], "seq": {"$gt": HISTORY_SEQ}}
            with translating:
                found += [record_of(row) async for row in self._records.find(query, {"logs": 0})]
        return found

    async def found_late(self, chain_id: int, holding: Holding, first: int, last: int) -> list[BalanceRecord]:
        """From block `first` to `last`, oldest first: records that no log of their own block need have led to.

        Without their logs. Of a balance with more than `MOST_FOUND_LATE`, the newest.
        """
        query: Query = {
            **of_holding(chain_id, holding),
            "blockNumber": {"$gte": first, "$lte": last},
            "$or": [{"cause": {"$in": list(FOUND_LATE)}}, {"joined": True}],
        }
        with translating:
            cursor = self._records.find(query, {"logs": 0}).sort("blockNumber", -1).limit(MOST_FOUND_LATE)
            return [record_of(row) async for row in in_turns(cursor)][::-1]


def of_holding(chain_id: int, holding: Holding) -> Query:
    return {"chainId": chain_id, "tokenAddress": holding.token, "solverAddress": holding.solver}


def _parts(many: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (many[start : start + size] for start in range(0, len(many), size))
