"""What a backfill keeps, so that a restart goes on where it stopped: orders, and what was collected for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from itertools import pairwise
from typing import Final

from indexer.domain.history.backfill import Chunk
from indexer.domain.history.jobs import Job
from repositories.database import Database
from repositories.documents.jobs import job_document, job_of
from repositories.documents.packing import chunk_document, chunk_of
from repositories.failures import translating

_PAGE: Final = 8
"""Pieces of some 40 KB that are read at once."""

_DIGITS: Final = 20
"""Numbers in ids, padded so that they sort."""


class BackfillBook:
    """`backfills` and `backfill_chunks`."""

    def __init__(self, database: Database) -> None:
        self._jobs = database["backfills"]
        self._chunks = database["backfill_chunks"]

    # --- jobs ---

    async def save(self, job: Job) -> None:
        document = job_document(job)
        with translating:
            await self._jobs.replace_one({"_id": job.id}, document, upsert=True)

    async def offer(self, jobs: Iterable[Job]) -> None:
        """Orders that are there already are left as they are: some of their work may be done."""
        for job in jobs:
            document = job_document(job)
            with translating:
                await self._jobs.update_one({"_id": document.pop("_id")}, {"$setOnInsert": document}, upsert=True)

    async def offered(self, chain_id: int, known: Collection[str]) -> list[Job]:
        """Those that fill what was passed over, but for the ones that are known."""
        query = {"chainId": chain_id, "after": {"$ne": None}, "_id": {"$nin": list(known)}}
        with translating:
            return [job_of(document) async for document in self._jobs.find(query)]

    async def jobs(self, chain_id: int | None = None) -> list[Job]:
        """In the order they were made."""
        query = {} if chain_id is None else {"chainId": chain_id}
        with translating:
            found = [job_of(document) async for document in self._jobs.find(query)]
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
        """A few in memory at a time, whatever the history's length.

        One that was divided later on is still there as a whole while the parts above are written: those count.
        """
        query = {"_id": {"$gte": _chunk_id(job_id, 0), "$lt": f"{job_id}:~"}}
        with translating:
            ids = [found["_id"] async for found in self._chunks.find(query, {"_id": 1})]
        ids.sort(reverse=newest_first)
        above = {lower: _first_of(upper) for lower, upper in pairwise(sorted(ids))}
        for start in range(0, len(ids), _PAGE):
            with translating:
                page = self._chunks.find({"_id": {"$in": ids[start : start + _PAGE]}}, batch_size=_PAGE)
                documents = {found["_id"]: found async for found in page}
            for key in sorted(documents, reverse=newest_first):
                chunk = chunk_of(documents.pop(key))
                yield chunk.up_to(above[key] - 1) if key in above else chunk

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


def _chunk_id(job_id: str, first: int) -> str:
    return f"{job_id}:{first:0{_DIGITS}}"


def _first_of(key: str) -> int:
    return int(key.rpartition(":")[2])
