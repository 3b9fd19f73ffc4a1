"""Collections, their indexes, and the version and epoch that a store carries."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pymongo.errors import DuplicateKeyError

from indexer.errors import StoreUnusable
from repositories.database import Database
from repositories.failures import translating

RECORD_KEY: Final = ("chainId", "tokenAddress", "solverAddress", "blockNumber")
HOLDING_KEY: Final = ("chainId", "tokenAddress", "solverAddress")
ACCOUNT_KEY: Final = ("exchange", "account", "wallet", "asset")
ACCOUNT_RECORD_KEY: Final = (*ACCOUNT_KEY, "seq")


@dataclass(frozen=True, slots=True)
class Index:
    """One index; a `by_id` one is kept by `_id` where mongomock would scan the whole collection for it."""

    collection: str
    name: str
    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    by_id: bool = False


INDEXES: Final = (
    Index("commits", "one_writer", (("stream", 1), ("firstSeq", 1)), unique=True),
    Index("commits", "replay", (("stream", 1), ("lastSeq", 1))),
    Index("commits", "above_block", (("stream", 1), ("checkpoint.number", 1))),
    Index("balance_records", "one_per_block", tuple((key, 1) for key in RECORD_KEY), unique=True, by_id=True),
    Index("balance_records", "newest_time", (("timestamp", -1),)),
    Index("balance_records", "newest_block", (("blockNumber", -1),)),
    Index("current_balances", "one_per_holding", tuple((key, 1) for key in HOLDING_KEY), unique=True, by_id=True),
    Index("account_records", "one_per_event", tuple((key, 1) for key in ACCOUNT_RECORD_KEY), unique=True, by_id=True),
    Index("account_records", "newest_time", (("timestamp", -1),)),
    Index("current_accounts", "one_per_slot", tuple((key, 1) for key in ACCOUNT_KEY), unique=True, by_id=True),
    Index("account_fundings", "newest_time", (("exchange", 1), ("account", 1), ("timestamp", -1))),
)

Upgrade = Callable[[Database], Awaitable[None]]

UPGRADES: Final[Mapping[int, Upgrade]] = {}
"""From each older version the step to the next; each is safe to repeat, because a start can die half way."""

VERSION: Final = 1


async def prepare(database: Database, version: int = VERSION, upgrades: Mapping[int, Upgrade] = UPGRADES) -> str:
    """Make or upgrade the schema; returns the store's epoch."""
    meta = database["meta"]
    with translating:
        with suppress(DuplicateKeyError):  # at every start but the first
            await meta.insert_one(
                {"_id": "store", "schema": version, "epoch": secrets.token_hex(4), "createdAt": datetime.now(UTC)}
            )
        found = await meta.find_one({"_id": "store"})
    if found is None:
        raise StoreUnusable("the store's meta document disappeared while it was opened")
    if found["schema"] > version:
        raise StoreUnusable(
            f"the database {database.motor.name!r} has schema version {found['schema']}, written by a newer release; "
            f"this one knows {version}: install that release again, or use another database"
        )
    await _create_indexes(database)
    for step in range(found["schema"], version):
        await upgrades[step](database)
        with translating:
            await meta.update_one({"_id": "store"}, {"$set": {"schema": step + 1}})
    return str(found["epoch"])


async def _create_indexes(database: Database) -> None:
    for index in INDEXES:
        unique = index.unique and not (database.in_memory and index.by_id)
        with translating:
            await database[index.collection].create_index(list(index.keys), name=index.name, unique=unique)
