"""A replica set of three `mongod` on loopback, whose primary can step down, stand still, die and come back."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pymongo
from pymongo.errors import PyMongoError

from tests.fixtures.mongo import free_port, launch_mongod

NAME = "three"
ELECTION_MS = 1_000


class Replicas:
    """Members are named by their port; elections are as quick as they get."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="replicas-"))
        self._members: dict[int, subprocess.Popen[bytes]] = {}

    async def __aenter__(self) -> Self:
        try:
            for _ in range(3):
                self.launch(free_port())
            await asyncio.to_thread(self._initiate)
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._end)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._members)
        return f"mongodb://{hosts}/?replicaSet={NAME}"

    def launch(self, port: int) -> None:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        self._members[port] = launch_mongod(port, folder, replica_set=NAME)

    async def primary(self) -> int:
        """The port of the one that takes writes, once there is one."""
        return await asyncio.to_thread(self._primary)

    async def step_down(self) -> int:
        """The primary lets another be elected; the port of the one that was."""
        port = await self.primary()
        await asyncio.to_thread(self._order, port, "replSetStepDown", 5, secondaryCatchUpPeriodSecs=2)
        return port

    async def kill(self, port: int) -> None:
        self._members[port].kill()
        await asyncio.to_thread(self._members[port].wait)

    def suspend(self, *ports: int) -> None:
        for port in ports:
            os.kill(self._members[port].pid, signal.SIGSTOP)

    def resume(self, *ports: int) -> None:
        for port in ports:
            os.kill(self._members[port].pid, signal.SIGCONT)

    def others(self, port: int) -> tuple[int, ...]:
        return tuple(other for other in self._members if other != port)

    def documents(self, port: int, collection: str) -> list[dict[str, Any]]:
        """As that member has them, whether a majority does or not."""
        with self._client(port) as client:
            return list(client["indexer"][collection].find())

    def _initiate(self) -> None:
        hosts = [{"_id": number, "host": f"127.0.0.1:{port}"} for number, port in enumerate(self._members)]
        settings = {"electionTimeoutMillis": ELECTION_MS, "heartbeatIntervalMillis": 200}
        first = next(iter(self._members))
        deadline = time.monotonic() + 20
        while True:
            try:
                self._order(first, "replSetInitiate", {"_id": NAME, "members": hosts, "settings": settings})
                break
            except PyMongoError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        self._primary()

    def _primary(self) -> int:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for port in self._members:
                with suppress(PyMongoError):
                    if self._order(port, "hello")["isWritablePrimary"]:
                        return port
            time.sleep(0.02)
        raise AssertionError("no primary was elected")

    def _order(self, port: int, name: str, value: Any = 1, **more: Any) -> dict[str, Any]:
        with self._client(port) as client:
            answer: dict[str, Any] = client.admin.command(name, value, **more)
        return answer

    def _client(self, port: int) -> pymongo.MongoClient[dict[str, Any]]:
        return pymongo.MongoClient(
            f"mongodb://127.0.0.1:{port}/?directConnection=true", serverSelectionTimeoutMS=500, socketTimeoutMS=10_000
        )

    def _end(self) -> None:
        for process in self._members.values():
            process.kill()  # also those that stand still
        for process in self._members.values():
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
