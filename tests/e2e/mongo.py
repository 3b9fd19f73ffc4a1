"""A `mongod` that can be killed and started again on the same data."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pymongo

from tests.fixtures.mongo import free_port, launch_mongod, wait_until_writable


class Mongo:
    """Standalone, journalled: what it acknowledged survives `kill -9`."""

    def __init__(self) -> None:
        self._port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="mongod-"))
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self._port}/?directConnection=true"

    def start(self) -> None:
        self._process = launch_mongod(self._port, self._folder, parameters=("enableTestCommands=1",))
        wait_until_writable(self._process, self.url, None)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def documents(self, collection: str, query: dict[str, Any], sort: str) -> list[dict[str, Any]]:
        with pymongo.MongoClient[dict[str, Any]](self.url, tz_aware=True) as client:
            return list(client["indexer"][collection].find(query).sort(sort, 1))

    def hang(self, point: str, **data: Any) -> int:
        """Whoever gets to this point of the server's code stays there; how many were there before."""
        with pymongo.MongoClient[dict[str, Any]](self.url) as client:
            answer = client.admin.command({"configureFailPoint": point, "mode": "alwaysOn", "data": data})
        return int(answer["count"])

    def hangs(self, point: str, before: int) -> None:
        """Return once somebody more got there."""
        with pymongo.MongoClient[dict[str, Any]](self.url) as client:
            client.admin.command({"waitForFailPoint": point, "timesEntered": before + 1, "maxTimeMS": 10_000})
