"""The one way to a database: the only file that imports motor and mongomock."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from bson import ObjectId
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorClientSession,
    AsyncIOMotorCollection,
    AsyncIOMotorDatabase,
)
from pymongo import DeleteMany, ReplaceOne, UpdateMany
from pymongo.errors import BulkWriteError, PyMongoError

from indexer.errors import StoreUnusable
from repositories.direct import DirectInserts
from repositories.failures import duplicates, masked, translating
from repositories.urls import OURS, wrong_with

Document = dict[str, Any]
Update = tuple[Document, Document]
"""Which document, and what becomes of it."""
Collection = AsyncIOMotorCollection[Document]
StoreKind = Literal["embedded", "memory", "mongodb"]

BATCH: Final = 500
"""Documents in one write; measured on mongod 6: no faster above, and the loop breathes between batches."""

MAJORITY_SECONDS: Final = 10.0
"""How long a majority of a replica set may take to have a write; a second is long, and none at all says nothing."""

GOODBYE_SECONDS: Final = 0.5
"""How long a server has to show that it is there to be told that we leave."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database and how to write many documents to it; `in_memory` where mongomock stands in for a server."""

    motor: AsyncIOMotorDatabase[Document]
    in_memory: bool = False
    in_set: bool = False
    """A replica set, whose primary may yet lose what a majority does not have."""
    direct: DirectInserts | None = None
    """A shorter way than the driver's for small inserts, where there is one."""

    def __getitem__(self, name: str) -> Collection:
        return self.motor[name]

    async def ping(self) -> None:
        with translating:
            await self.motor.command("ping")

    async def recognized(self) -> Database:
        """The same, once the server has said what it is."""
        with translating:
            hello = await self.motor.command("hello")
        return replace(self, in_set="setName" in hello or hello.get("msg") == "isdbgrid")

    @asynccontextmanager
    async def proven(self) -> AsyncIterator[AsyncIOMotorClientSession | None]:
        """Reads within see all that was acknowledged until now, and nothing that could yet be lost.

        The proof is a journaled write of our own. Of a set a majority has it, and with it, for this session, all
        before it: what a linearizable read writes by itself waits for the next flush of the journal, 50 to 100 ms
        later, and a start has five of them. A lone server's journal has what was read once it has what came after.
        """
        if self.in_memory:
            yield None
            return
        proof = {"$set": {"askedAt": ObjectId()}}
        with translating:
            if not self.in_set:
                yield None
                await self["meta"].update_one({"_id": "store"}, proof)
                return
            async with await self.motor.client.start_session(causal_consistency=True) as session:
                await self["meta"].update_one({"_id": "store"}, proof, session=session)
                yield session

    async def insert_new(self, collection: Collection, documents: Sequence[Document]) -> list[int]:
        """Insert all in batches; the places of those whose key was there already, which is not an error."""
        there: list[int] = []
        for start in range(0, len(documents), BATCH):
            batch = documents[start : start + BATCH]
            if self.direct is not None and await self.direct.insert(collection.name, batch):
                continue  # by the driver a record takes 8 µs more, and each batch the waking of a thread
            try:
                with translating:
                    await collection.insert_many(batch, ordered=False)
            except BulkWriteError as error:
                there.extend(start + index for index in duplicates(error))
        return there

    async def replace_older(self, collection: Collection, documents: Sequence[Document], key: Sequence[str]) -> None:
        """Put each in the place of the one with the same unique `key`, unless that has a higher `seq`."""
        for start in range(0, len(documents), BATCH):
            batch = documents[start : start + BATCH]
            if self.in_memory:
                await _replace_in_memory(collection, batch)
            else:
                await _replace(collection, batch, key)

    async def update_each(self, collection: Collection, updates: Sequence[Update], *, upsert: bool = False) -> None:
        """In any order, each of all that match. One by one they would wait for the journal some 4 ms each."""
        # Not UpdateOne, which mongomock 4.3 does not take from pymongo 4.11.
        await _write_each(collection, [UpdateMany(query, change, upsert=upsert) for query, change in updates])

    async def delete_each(self, collection: Collection, queries: Sequence[Document]) -> None:
        """All that match any of them."""
        await _write_each(collection, [DeleteMany(query) for query in queries])


def connect(url: str, database: str, *, timeout_seconds: float) -> tuple[AsyncIOMotorClient[Document], Database]:
    """A client that gives up on an absent server after `timeout_seconds`; nothing is sent yet."""
    if wrong := wrong_with(url):
        raise StoreUnusable(f"store.url {masked(url)} cannot be used: {wrong}")
    client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
        url,
        **OURS,
        wTimeoutMS=int(MAJORITY_SECONDS * 1000),
        serverSelectionTimeoutMS=int(timeout_seconds * 1000),
        connectTimeoutMS=int(timeout_seconds * 1000),
        # A frozen server must not hold a caller for ever; no query of ours is silent for this long.
        socketTimeoutMS=30_000,
    )
    try:
        return client, Database(client[database])
    except PyMongoError:
        client.close()
        raise StoreUnusable(f"store.url {masked(url)}: the database name {database!r} is not allowed") from None


async def disconnect(client: AsyncIOMotorClient[Document]) -> None:
    """At once, also from a server that is gone: to tell it so, the driver looks for it, and the loop stands still."""
    is_there = False
    try:
        with suppress(PyMongoError, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await client.admin.command("ping")
                is_there = True
    finally:
        topology = client.delegate._topology  # noqa: SLF001 - the driver has no other way to leave so
        if topology is not None:  # it knew where to look
            _leave(topology, is_there)
        client.close()


def _leave(topology: Any, is_there: bool) -> None:
    if not is_there:
        topology.pop_all_sessions()  # which would be ended one by one
    for server in tuple(topology._servers.values()):  # noqa: SLF001 - the same
        for waiting in tuple(server.pool.active_contexts):
            waiting.cancel()  # its thread would keep the process until `socketTimeoutMS` is over


def connect_memory(database: str) -> Database:
    """A database inside this process, gone with it."""
    if importlib.util.find_spec("mongomock_motor") is None:
        raise StoreUnusable("store.url = 'memory' needs mongomock-motor: pip install mongomock-motor mongomock")
    from mongomock_motor import AsyncMongoMockClient  # noqa: PLC0415 - an extra, and slow to import

    return Database(AsyncMongoMockClient(tz_aware=True)[database], in_memory=True)


async def _write_each(collection: Collection, writes: Sequence[UpdateMany | DeleteMany]) -> None:
    for start in range(0, len(writes), BATCH):
        with translating:
            await collection.bulk_write(writes[start : start + BATCH], ordered=False)


async def _replace(collection: Collection, batch: Sequence[Document], key: Sequence[str]) -> None:
    # With a newer document in place the filter misses, the upsert becomes an insert, and the unique key refuses it.
    writes = [
        ReplaceOne({**{name: new[name] for name in key}, "seq": {"$lte": new["seq"]}}, new, upsert=True)
        for new in batch
    ]
    try:
        with translating:
            await collection.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        duplicates(error)


async def _replace_in_memory(collection: Collection, batch: Sequence[Document]) -> None:
    # mongomock 4.3 cannot bulk_write with pymongo 4.11 and scans everything for each replace_one; it never
    # suspends either, so that nobody sees the moment between these calls. Its keys are always in `_id`.
    ids = [new["_id"] for new in batch]
    there = {old["_id"]: old["seq"] async for old in collection.find({"_id": {"$in": ids}}, {"seq": 1})}
    newer = [new for new in batch if there.get(new["_id"], 0) <= new["seq"]]
    await collection.delete_many({"_id": {"$in": [new["_id"] for new in newer if new["_id"] in there]}})
    if newer:
        await collection.insert_many(newer)
