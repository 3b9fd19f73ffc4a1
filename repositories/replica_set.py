"""Makes a lone `mongod` the primary of a replica set of one, whatever port it has this time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from pymongo.errors import ConnectionFailure, OperationFailure

from indexer.errors import StoreUnavailable
from repositories.database import connect

NAME: Final = "indexer"

_NOT_INITIATED: Final = 94


def url_of(port: int) -> str:
    """A direct connection: the set's own idea of its member's address is of no interest to us."""
    return f"mongodb://127.0.0.1:{port}/?directConnection=true"


async def become_primary(port: int, *, alive: Callable[[], bool], timeout_seconds: float) -> None:
    """Return once the `mongod` on `port` takes writes; `StoreUnavailable` when it dies or takes too long."""
    client, admin = connect(url_of(port), "admin", timeout_seconds=0.25)
    deadline = time.monotonic() + timeout_seconds
    try:
        while alive() and time.monotonic() < deadline:
            try:
                hello = await admin.motor.command("hello")
                if hello["isWritablePrimary"]:
                    return
                await _configure(admin.motor, f"127.0.0.1:{port}")
            except (ConnectionFailure, OperationFailure):
                pass  # it is starting, loading its configuration or electing itself: ask again
            await asyncio.sleep(0.02)
    finally:
        client.close()
    raise StoreUnavailable(f"mongod on port {port} did not become ready within {timeout_seconds:g} s")


async def _configure(admin: Any, host: str) -> None:
    try:
        config = (await admin.command("replSetGetConfig"))["config"]
    except OperationFailure as error:
        if error.code != _NOT_INITIATED:
            raise
        await admin.command("replSetInitiate", {"_id": NAME, "members": [{"_id": 0, "host": host}]})
        return
    if config["members"][0]["host"] != host:
        # Another port than last time: it does not find itself in its own set, and only force can tell it. Whoever
        # has the old port now is asked first whether it is the member; one that never answers costs 30 s.
        config["members"][0]["host"] = host
        config["version"] += 1
        await admin.command("replSetReconfig", config, force=True)
