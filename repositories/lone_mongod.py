"""What a lone `mongod` on loopback says of itself, and data that older releases kept in a replica set of one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pymongo.errors import ConnectionFailure, OperationFailure

from indexer.errors import StoreUnavailable, StoreUnusable
from repositories.database import connect

LEAVE_SET: Final = (
    *("--setParameter", "recoverFromOplogAsStandalone=true"),
    *("--setParameter", "takeUnstableCheckpointOnShutdown=true"),
)
"""Started so, and ended in order, a `mongod` brings into its collections what only the set's own log has."""

_MARK: Final = "mongod.alone"


def url_of(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?directConnection=true"


async def answering(port: int, *, alive: Callable[[], bool], timeout_seconds: float) -> None:
    """Return once the `mongod` on `port` answers; `StoreUnavailable` when it dies or takes too long."""
    client, admin = connect(url_of(port), "admin", timeout_seconds=0.25)
    deadline = time.monotonic() + timeout_seconds
    try:
        while alive() and time.monotonic() < deadline:
            try:
                await admin.motor.command("ping")
            except (ConnectionFailure, OperationFailure):
                await asyncio.sleep(0.02)  # it is starting
            else:
                return
    finally:
        client.close()
    raise StoreUnavailable(f"mongod on port {port} did not become ready within {timeout_seconds:g} s")


def was_in_set(data: Path) -> bool:
    """Whether this is the data of a release that ran its `mongod` as a replica set of one."""
    return (data / "WiredTiger").exists() and not (data / _MARK).exists()


def mark_alone(data: Path) -> None:
    try:
        (data / _MARK).touch()
    except OSError as error:
        raise StoreUnusable(f"{data / _MARK} cannot be written: {error.strerror}") from error
