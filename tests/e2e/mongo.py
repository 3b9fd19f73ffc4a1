"""A `mongod` that can be killed and started again on the same data."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import pymongo

from tests.fixtures.mongo import KillableMongod


class Mongo(KillableMongod):
    """In a folder of its own, and with ways to hold it at a point of its code."""

    def __init__(self) -> None:
        self._own = Path(tempfile.mkdtemp(prefix="mongod-"))
        super().__init__(self._own, "enableTestCommands=1")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self._own, ignore_errors=True)

    def documents(self, collection: str, query: dict[str, Any], sort: str) -> list[dict[str, Any]]:
        with pymongo.MongoClient[dict[str, Any]](self.url, tz_aware=True) as client:
            return list(client["indexer"][collection].find(query).sort(sort, 1))

    def hang(self, point: str, **data: Any) -> int:
        """Whoever gets to this point of the server's code stays there; how many were there before."""
        with pymongo.MongoClient[dict[str, Any]](self.url) as client:
            answer = client.admin.command({"configureFailPoint": point, "mode": "alwaysOn", "data": data})
        return int(answer["count"])

    def release(self, point: str) -> None:
        """Whoever stays there goes on."""
        with pymongo.MongoClient[dict[str, Any]](self.url) as client:
            client.admin.command({"configureFailPoint": point, "mode": "off"})

    def hangs(self, point: str, before: int) -> None:
        """Return once somebody more got there."""
        with pymongo.MongoClient[dict[str, Any]](self.url) as client:
            client.admin.command({"waitForFailPoint": point, "timesEntered": before + 1, "maxTimeMS": 10_000})
