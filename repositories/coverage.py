"""Which part of each balance's history is filled, and where nobody has filled a hole in it since."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bson import Int64

from indexer.domain.chain import Address, Holding
from indexer.domain.recording.holes import Apart, Hole, Rejoining, Rereading
from repositories.database import Database, Update
from repositories.failures import translating

Document = dict[str, Any]


class Coverage:
    """`backfill_covered`: one document per balance of which either is known."""

    def __init__(self, database: Database) -> None:
        self._covered = database["backfill_covered"]
        self._database = database

    async def covered(self, chain_id: int, among: Collection[Holding] | None = None) -> dict[Holding, int]:
        """From which block on the history of each balance was filled, or found that it cannot be."""
        query = _of_owners(chain_id, among, {"first": {"$exists": True}})
        with translating:
            return {_owner_of(found): int(found["first"]) async for found in self._covered.find(query)}

    async def filled_up_to(self, chain_id: int, among: Collection[Holding]) -> dict[Holding, int]:
        """Up to which record the history of those of whom it was filled is; -1 where it has a hole.

        Also one that is known before anything is filled: what is filled just now may end below it.
        """
        query = _of_owners(chain_id, among, {"$or": [{"first": {"$exists": True}}, {"hole": {"$exists": True}}]})
        with translating:
            return {
                _owner_of(found): -1 if "hole" in found else int(found.get("top", -1))
                async for found in self._covered.find(query)
            }

    async def cover(self, chain_id: int, first: int, anchors: Mapping[Holding, int]) -> None:
        """From that block on, up to the record of each that its history is walked back from."""
        updates: list[Update] = []
        for holding, top in anchors.items():
            # A later order for less does not take back what an earlier one covered.
            widened: Document = {"$min": {"first": Int64(first)}, "$max": {"top": Int64(top)}}
            owner = {"$setOnInsert": _owner(chain_id, holding)}
            updates.append(({"_id": _owner_id(chain_id, holding)}, widened | owner))
        await self._database.update_each(self._covered, updates, upsert=True)

    async def close(self, chain_id: int, first: int, ends: Mapping[Holding, int]) -> None:
        """Holes of these balances, as far as they are filled now from that block to below the end of each."""
        holes = await self.holes(chain_id, ends)
        covered = await self.covered(chain_id, holes) if holes else {}
        updates = [
            _leaving(chain_id, holding, hole, hole.below(first, covered.get(holding)))
            for holding, hole in holes.items()
            if first < hole.end <= ends[holding]
        ]
        await self._database.update_each(self._covered, updates)

    async def holes(self, chain_id: int, among: Collection[Holding] | None = None) -> dict[Holding, Hole]:
        """In which blocks nobody watched a balance that is watched again, and nobody has filled that in since."""
        query = _of_owners(chain_id, among, {"hole": {"$exists": True}})
        with translating:
            return {
                _owner_of(found): Hole(int(found["hole"]), int(found["end"]))
                async for found in self._covered.find(query)
            }

    async def part(self, parted: Sequence[tuple[Apart, int]]) -> None:
        """There is a hole from that block on; together with one that is there already. Safe to repeat."""
        owners = [_owned(apart.chain_id, apart.holding) for apart, _ in parted]
        await self._database.insert_new(self._covered, owners)
        updates: list[Update] = []
        for apart, first in parted:
            key = {"_id": _owner_id(apart.chain_id, apart.holding), **_untold(apart.seq)}
            updates.append((key, _with_hole(first, apart.number, apart.seq)))
        await self._database.update_each(self._covered, updates)

    async def reread(self, reread: Rereading, first: int) -> None:
        """There is a hole from block `first` on up to there, whether history was filled already or will be."""
        chain_id, end = reread.chain_id, reread.number
        owners = [_owned(chain_id, holding) for holding in reread.each]
        seq = max(reread.each.values())
        await self._database.insert_new(self._covered, owners)
        key = {"_id": {"$in": [owner["_id"] for owner in owners]}, **_untold(seq)}
        with translating:
            await self._covered.update_many(key, _with_hole(first, end, seq))

    async def rejoin(self, rejoining: Rejoining) -> None:
        """The records at which holes ended are gone. Safe to repeat."""
        chain_id = rejoining.chain_id
        there = await self.holes(chain_id, rejoining.holdings)
        updates = [_leaving(chain_id, *each) for each in rejoining.left_of(there)]
        await self._database.update_each(self._covered, updates)
        cut = rejoining.cut
        if cut is None or cut.above + 1 >= cut.number:
            return
        covered = {"chainId": chain_id, "first": {"$exists": True}, "hole": {"$exists": False}}
        made = {"hole": Int64(cut.above + 1), "end": Int64(cut.number), "seq": Int64(cut.seq)}
        with translating:
            await self._covered.update_many(covered | _untold(cut.seq), {"$set": made})


def _leaving(chain_id: int, holding: Holding, hole: Hole, left: Hole | None, told: int = 0) -> Update:
    """Unless there is another one by now, or it is known from a later commit than the one with that number."""
    key: Document = {"_id": _owner_id(chain_id, holding), "hole": Int64(hole.first), "end": Int64(hole.end)}
    change: Document = {}
    if left is None:
        change["$unset"] = {"hole": "", "end": ""}
    else:
        change["$set"] = {"hole": Int64(left.first), "end": Int64(left.end)}
    if told:
        key["seq"] = {"$lt": Int64(told)}
        change.setdefault("$set", {})["seq"] = Int64(told)
    return key, change


def _of_owners(chain_id: int, among: Collection[Holding] | None, condition: Document) -> Document:
    query: Document = {"chainId": chain_id, **condition}
    if among is not None:
        query["_id"] = {"$in": [_owner_id(chain_id, holding) for holding in among]}
    return query


def _owner_id(chain_id: int, holding: Holding) -> str:
    return f"{chain_id}:{holding.token}:{holding.solver}"


def _owner(chain_id: int, holding: Holding) -> Document:
    return {"chainId": Int64(chain_id), "tokenAddress": holding.token, "solverAddress": holding.solver}


def _owned(chain_id: int, holding: Holding) -> Document:
    return {"_id": _owner_id(chain_id, holding), **_owner(chain_id, holding)}


def _untold(seq: int) -> Document:
    """Told once more after a crash, it may have been filled by now."""
    return {"$or": [{"seq": {"$exists": False}}, {"seq": {"$lt": Int64(seq)}}]}


def _with_hole(first: int, end: int, seq: int) -> Document:
    return {"$min": {"hole": Int64(first)}, "$set": {"end": Int64(end), "seq": Int64(seq)}}


def _owner_of(found: Document) -> Holding:
    return Holding(found["tokenAddress"], Address(found["solverAddress"]))
