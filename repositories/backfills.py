"""What a backfill keeps, so that a restart goes on where it stopped: jobs, what they collected, what they covered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Any, Final

from bson import Int64

from indexer.domain.backfill import Chunk
from indexer.domain.chain import Address, BlockRef, Holding
from indexer.domain.holes import Apart, Hole, Rejoining, Rereading
from indexer.domain.jobs import Anchor, Job, Stage
from repositories.database import Database
from repositories.documents.blocks import block_document, block_of, holdings_document, holdings_of
from repositories.documents.packing import chunk_document, chunk_of
from repositories.failures import translating

Document = dict[str, Any]

_PAGE: Final = 8
"""Pieces of some 40 KB that are read at once."""

_DIGITS: Final = 20
"""Numbers in ids, padded so that they sort."""


class BackfillBook:
    """`backfills`, `backfill_chunks` and `backfill_covered`."""

    def __init__(self, database: Database) -> None:
        self._jobs = database["backfills"]
        self._chunks = database["backfill_chunks"]
        self._covered = database["backfill_covered"]
        self._database = database

    # --- jobs ---

    async def save(self, job: Job) -> None:
        document = _job_document(job)
        with translating:
            await self._jobs.replace_one({"_id": job.id}, document, upsert=True)

    async def offer(self, jobs: Iterable[Job]) -> None:
        """Orders that are there already are left as they are: some of their work may be done."""
        for job in jobs:
            document = _job_document(job)
            with translating:
                await self._jobs.update_one({"_id": document.pop("_id")}, {"$setOnInsert": document}, upsert=True)

    async def offered(self, chain_id: int, known: Collection[str]) -> list[Job]:
        """Those that fill what was passed over, but for the ones that are known."""
        query = {"chainId": chain_id, "after": {"$ne": None}, "_id": {"$nin": list(known)}}
        with translating:
            return [_job_of(document) async for document in self._jobs.find(query)]

    async def jobs(self, chain_id: int | None = None) -> list[Job]:
        """In the order they were made."""
        query = {} if chain_id is None else {"chainId": chain_id}
        with translating:
            found = [_job_of(document) async for document in self._jobs.find(query)]
        return sorted(found, key=lambda job: (job.created, job.id))

    async def drop(self, job_id: str) -> None:
        with translating:
            await self._jobs.delete_one({"_id": job_id})

    # --- what was collected ---

    async def put(self, job_id: str, chunk: Chunk) -> None:
        key = _chunk_id(job_id, chunk.first)
        document = {"_id": key, **chunk_document(chunk)}
        with translating:
            await self._chunks.replace_one({"_id": key}, document, upsert=True)

    async def chunks(self, job_id: str, *, newest_first: bool) -> AsyncIterator[Chunk]:
        """A few in memory at a time, whatever the history's length."""
        query = {"_id": {"$gte": _chunk_id(job_id, 0), "$lt": f"{job_id}:~"}}
        with translating:
            ids = [found["_id"] async for found in self._chunks.find(query, {"_id": 1})]
        ids.sort(reverse=newest_first)
        for start in range(0, len(ids), _PAGE):
            with translating:
                page = self._chunks.find({"_id": {"$in": ids[start : start + _PAGE]}}, batch_size=_PAGE)
                documents = {found["_id"]: found async for found in page}
            for key in sorted(documents, reverse=newest_first):
                yield chunk_of(documents.pop(key))

    async def lowest(self, job_id: str) -> Chunk | None:
        """The one with the lowest blocks; what is collected has no hole above it."""
        query = {"_id": {"$gte": _chunk_id(job_id, 0), "$lt": f"{job_id}:~"}}
        with translating:
            found = await self._chunks.find_one(query, sort=[("_id", 1)])
        return None if found is None else chunk_of(found)

    async def forget(self, job_id: str) -> None:
        """Drop what was collected."""
        with translating:
            await self._chunks.delete_many({"_id": {"$gte": _chunk_id(job_id, 0), "$lt": f"{job_id}:~"}})

    # --- what is covered ---

    async def covered(self, chain_id: int, among: Collection[Holding] | None = None) -> dict[Holding, int]:
        """From which block on the history of each balance was filled, or found that it cannot be."""
        query = _of_owners(chain_id, among, {"first": {"$exists": True}})
        with translating:
            return {_owner_of(found): int(found["first"]) async for found in self._covered.find(query)}

    async def filled_up_to(self, chain_id: int, among: Collection[Holding]) -> dict[Holding, int]:
        """Up to which record the history of those of whom it was filled is; -1 where it has a hole."""
        query = _of_owners(chain_id, among, {"first": {"$exists": True}})
        with translating:
            return {
                _owner_of(found): -1 if "hole" in found else int(found.get("top", -1))
                async for found in self._covered.find(query)
            }

    async def cover(self, chain_id: int, first: int, anchors: Mapping[Holding, int]) -> None:
        """From that block on, up to the record of each that its history is walked back from."""
        for holding, top in anchors.items():
            # A later order for less does not take back what an earlier one covered.
            widened = {"$min": {"first": Int64(first)}, "$max": {"top": Int64(top)}}
            key, owner = {"_id": _owner_id(chain_id, holding)}, {"$setOnInsert": _owner(chain_id, holding)}
            with translating:
                await self._covered.update_one(key, widened | owner, upsert=True)

    async def close(self, chain_id: int, first: int, ends: Mapping[Holding, int]) -> None:
        """Holes of these balances, as far as they are filled now from that block to below the end of each."""
        holes = await self.holes(chain_id, ends)
        covered = await self.covered(chain_id, holes) if holes else {}
        for holding, hole in holes.items():
            if first < hole.end <= ends[holding]:
                left = hole.below(first, covered.get(holding))
                await self._leave(chain_id, holding, hole, left)

    async def holes(self, chain_id: int, among: Collection[Holding] | None = None) -> dict[Holding, Hole]:
        """In which blocks nobody watched a balance that is watched again, and nobody has filled that in since."""
        query = _of_owners(chain_id, among, {"hole": {"$exists": True}})
        with translating:
            return {
                _owner_of(found): Hole(int(found["hole"]), int(found["end"]))
                async for found in self._covered.find(query)
            }

    async def part(self, apart: Apart, first: int) -> None:
        """There is a hole from block `first` on; together with one that is there already. Safe to repeat."""
        chain_id, holding, number, seq = apart
        key = {"_id": _owner_id(chain_id, holding)}
        with translating:
            found = await self._covered.find_one(key)
            if found is not None and found.get("seq", 0) >= seq:
                return  # told once more after a crash; it may have been filled by now
            first = first if found is None else min(first, found.get("hole", first))
            hole = {"hole": Int64(first), "end": Int64(number), "seq": Int64(seq)}
            await self._covered.update_one(key, {"$set": hole, "$setOnInsert": _owner(chain_id, holding)}, upsert=True)

    async def reread(self, reread: Rereading, first: int) -> None:
        """There is a hole from block `first` on up to there, whether history was filled already or will be."""
        chain_id, end = reread.chain_id, reread.number
        owners = [{"_id": _owner_id(chain_id, holding), **_owner(chain_id, holding)} for holding in reread.each]
        seq = Int64(max(reread.each.values()))
        unknown = {"$or": [{"seq": {"$exists": False}}, {"seq": {"$lt": seq}}]}
        hole = {"$min": {"hole": Int64(first)}, "$set": {"end": Int64(end), "seq": seq}}
        with translating:
            await self._database.insert_new(self._covered, owners)
            await self._covered.update_many({"_id": {"$in": [owner["_id"] for owner in owners]}, **unknown}, hole)

    async def rejoin(self, rejoining: Rejoining) -> None:
        """The records at which holes ended are gone. Safe to repeat."""
        chain_id = rejoining.chain_id
        for holding, hole, left, told in rejoining.left_of(await self.holes(chain_id, rejoining.holdings)):
            await self._leave(chain_id, holding, hole, left, told)
        cut = rejoining.cut
        if cut is None or cut.above + 1 >= cut.number:
            return
        covered = {"chainId": chain_id, "first": {"$exists": True}, "hole": {"$exists": False}}
        unknown = {"$or": [{"seq": {"$exists": False}}, {"seq": {"$lt": Int64(cut.seq)}}]}
        made = {"hole": Int64(cut.above + 1), "end": Int64(cut.number), "seq": Int64(cut.seq)}
        with translating:
            await self._covered.update_many(covered | unknown, {"$set": made})

    async def _leave(self, chain_id: int, holding: Holding, hole: Hole, left: Hole | None, told: int = 0) -> None:
        """Unless there is another one by now, or it is known from a later commit than the one with that number."""
        key = {"_id": _owner_id(chain_id, holding), "hole": Int64(hole.first), "end": Int64(hole.end)}
        change: Document = {}
        if left is None:
            change["$unset"] = {"hole": "", "end": ""}
        else:
            change["$set"] = {"hole": Int64(left.first), "end": Int64(left.end)}
        if told:
            key["seq"] = {"$lt": Int64(told)}
            change.setdefault("$set", {})["seq"] = Int64(told)
        with translating:
            await self._covered.update_one(key, change)


def _of_owners(chain_id: int, among: Collection[Holding] | None, condition: Document) -> Document:
    query: Document = {"chainId": chain_id, **condition}
    if among is not None:
        query["_id"] = {"$in": [_owner_id(chain_id, holding) for holding in among]}
    return query


def _owner_id(chain_id: int, holding: Holding) -> str:
    return f"{chain_id}:{holding.token}:{holding.solver}"


def _owner(chain_id: int, holding: Holding) -> Document:
    return {"chainId": Int64(chain_id), "tokenAddress": holding.token, "solverAddress": holding.solver}


def _owner_of(found: Document) -> Holding:
    return Holding(found["tokenAddress"], Address(found["solverAddress"]))


def _chunk_id(job_id: str, first: int) -> str:
    return f"{job_id}:{first:0{_DIGITS}}"


def _job_document(job: Job) -> Document:
    return {
        "_id": job.id,
        "chainId": Int64(job.chain_id),
        "first": Int64(job.first),
        "last": _int64(job.last),
        "holdings": [[token, solver] for token, solver in job.holdings],
        "wanted": [[token, solver] for token, solver in job.wanted],
        "anchors": [
            {
                "t": token,
                "s": solver,
                "n": Int64(anchor.number),
                "b": str(anchor.balance),
                "o": anchor.is_open,
                "h": anchor.hash,
                "c": None if anchor.change is None else str(anchor.change),
            }
            for (token, solver), anchor in job.anchors.items()
        ],
        "rests": _rests_document(job.rests),
        "stages": [_stage_document(stage) for stage in job.stages],
        "grounds": [_stage_document(stage) for stage in job.grounds],
        "reasons": [{"t": token, "s": solver, "r": reason} for (token, solver), reason in job.reasons.items()],
        "state": job.state,
        "top": Int64(job.top),
        "cursor": Int64(job.cursor),
        "unread": _int64(job.unread),
        "told": _int64(job.told),
        "seq": Int64(job.seq),
        "records": Int64(job.records),
        "derived": Int64(job.derived),
        "error": job.error,
        "settled": Int64(job.settled),
        "base": None if job.base is None else block_document(job.base),
        "highest": None if job.highest is None else block_document(job.highest),
        "created": Int64(job.created),
        "ended": _int64(job.ended),
        "filledFrom": _int64(job.filled_from),
        "inPlaceOf": job.in_place_of,
        "after": None if job.after is None else block_document(job.after),
        "trailing": holdings_document(sorted(job.trailing)),
    }


def _stage_document(stage: Stage) -> Document:
    rests, carried = _rests_document(stage.rests), _carried_document(stage.carried)
    return {"block": block_document(stage.block), "rests": rests, "carried": carried}


def _stage(found: Mapping[str, Any]) -> Stage:
    return Stage(block_of(found["block"]), _rests(found["rests"]), _carried(found["carried"]))


def _grounds(found: Mapping[str, Any]) -> tuple[Stage, ...]:
    """Jobs of before have one, if any."""
    if "grounds" in found:
        return tuple(_stage(row) for row in found["grounds"])
    ground = _block(found.get("ground"))
    return () if ground is None else (Stage(ground, _rests(found.get("rests", ()))),)


def _rests_document(rests: Mapping[Holding, int]) -> list[Document]:
    return [{"t": token, "s": solver, "n": Int64(number)} for (token, solver), number in rests.items()]


def _rests(found: Iterable[Mapping[str, Any]]) -> dict[Holding, int]:
    return {Holding(row["t"], row["s"]): int(row["n"]) for row in found}


def _carried_document(carried: frozenset[Holding] | None) -> Document | None:
    return None if carried is None else holdings_document(sorted(carried))


def _carried(found: Document | None) -> frozenset[Holding] | None:
    return None if found is None else frozenset(holdings_of(found))


def _job_of(found: Mapping[str, Any]) -> Job:
    return Job(
        id=found["_id"],
        chain_id=int(found["chainId"]),
        first=int(found["first"]),
        last=_whole(found["last"]),
        holdings=tuple(Holding(token, solver) for token, solver in found["holdings"]),
        wanted=tuple(Holding(token, solver) for token, solver in found["wanted"]),
        anchors={
            Holding(a["t"], a["s"]): Anchor(int(a["n"]), int(a["b"]), a["o"], a.get("h"), _whole(a.get("c")))
            for a in found["anchors"]
        },
        rests=_rests(found.get("rests", ())),
        stages=tuple(_stage(row) for row in found.get("stages", ())),  # stores of before have none
        reasons={Holding(row["t"], row["s"]): row["r"] for row in found["reasons"]},
        state=found["state"],
        top=int(found["top"]),
        cursor=int(found["cursor"]),
        unread=_whole(found["unread"]),
        told=_whole(found["told"]),
        seq=int(found["seq"]),
        records=int(found["records"]),
        derived=int(found["derived"]),
        error=found["error"],
        settled=int(found["settled"]),
        base=_block(found.get("base")),  # stores of before have none
        highest=_block(found["highest"]),
        created=int(found["created"]),
        ended=_whole(found["ended"]),
        filled_from=_whole(found.get("filledFrom")),  # stores of before have none
        grounds=_grounds(found),
        in_place_of=found.get("inPlaceOf"),  # stores of before have none
        after=_block(found.get("after")),  # stores of before have none
        trailing=frozenset(holdings_of(found.get("trailing", {}))),
    )


def _block(document: Document | None) -> BlockRef | None:
    return None if document is None else block_of(document)


def _int64(value: int | None) -> Int64 | None:
    return None if value is None else Int64(value)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
