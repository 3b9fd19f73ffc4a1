"""What the repositories believe of motor, pymongo, mongomock and mongod; an upgrade that changes it is noticed here."""

from __future__ import annotations

import asyncio
import secrets
from decimal import Decimal, localcontext
from typing import Any

import pymongo
import pytest
from bson import Decimal128
from mongomock_motor import AsyncMongoMockClient
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError


async def test_mongomock_cannot_bulk_write_replacements() -> None:
    collection: Any = AsyncMongoMockClient()["x"]["y"]
    with pytest.raises(TypeError, match="sort"):
        await collection.bulk_write([ReplaceOne({"_id": 1}, {"_id": 1}, upsert=True)], ordered=False)


async def test_mongomock_tells_duplicates_of_an_unordered_insert_like_a_server() -> None:
    collection: Any = AsyncMongoMockClient()["x"]["y"]
    await collection.insert_one({"_id": 2})
    with pytest.raises(BulkWriteError) as caught:
        await collection.insert_many([{"_id": 1}, {"_id": 2}, {"_id": 3}], ordered=False)
    assert [(error["index"], error["code"]) for error in caught.value.details["writeErrors"]] == [(1, 11000)]
    assert await collection.count_documents({}) == 3


def test_decimal128_refuses_more_than_34_digits() -> None:
    with localcontext(prec=100), pytest.raises(ArithmeticError):
        Decimal128(Decimal(2**256 - 1))


@pytest.mark.mongo
def test_the_upsert_of_an_older_document_is_refused_by_the_key(replica_set_url: str) -> None:
    with pymongo.MongoClient[dict[str, Any]](replica_set_url) as client:
        collection = client[f"test_{secrets.token_hex(4)}"]["y"]
        collection.insert_one({"_id": 1, "seq": 5})
        with pytest.raises(BulkWriteError, match="E11000"):
            collection.bulk_write([ReplaceOne({"_id": 1, "seq": {"$lte": 4}}, {"_id": 1, "seq": 4}, upsert=True)])
        assert collection.find_one({}) == {"_id": 1, "seq": 5}
        client.drop_database(collection.database.name)


@pytest.mark.mongo
def test_strings_do_not_sort_as_numbers(standalone_url: str) -> None:
    with pymongo.MongoClient[dict[str, Any]](standalone_url) as client:
        collection = client[f"test_{secrets.token_hex(4)}"]["y"]
        collection.insert_many([{"_id": balance} for balance in ("99", "100")])
        assert [found["_id"] for found in collection.find({}).sort("_id", 1)] == ["100", "99"]
        client.drop_database(collection.database.name)


@pytest.mark.mongo
def test_a_motor_client_serves_one_loop_only(standalone_url: str) -> None:
    async def opened() -> AsyncIOMotorClient[dict[str, Any]]:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(standalone_url)
        await client.admin.command("ping")
        return client

    async def used(client: AsyncIOMotorClient[dict[str, Any]]) -> None:
        await client.admin.command("ping")

    client = asyncio.run(opened())
    try:
        with pytest.raises(RuntimeError, match="loop"):
            asyncio.run(used(client))
    finally:
        client.close()
