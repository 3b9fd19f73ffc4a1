from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from indexer import demo
from indexer.demo.show import FOLDER

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]


class Shown:
    """`indexer demo` as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, words: str, seconds: float = 40.0) -> str:
        """The first line with these words in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            async for line in self.process.stdout:
                self.lines.append(line.decode().rstrip())
                if words in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"never said {words!r}: {self.lines}")

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        async with asyncio.timeout(30):
            out, _ = await self.process.communicate()
            self.lines += out.decode().splitlines()
            return await self.process.wait()

    def offspring(self) -> list[int]:
        """Every process that came from it, directly or not."""
        found, waiting = [], [self.process.pid]
        while waiting:
            tasks = Path(f"/proc/{waiting.pop()}/task")
            children = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
            found += children
            waiting += children
        return found


@asynccontextmanager
async def shown(data_dir: Path, port: int = 0) -> AsyncIterator[Shown]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "indexer", "demo", "--port", str(port), "--data-dir", str(data_dir)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    demo_ = Shown(process)
    try:
        yield demo_
    finally:
        if process.returncode is None:
            started = demo_.offspring()
            process.kill()
            await process.wait()
            for pid in started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


async def changes(url: str, count: int) -> list[dict[str, Any]]:
    """The next balances that change, as a subscriber is told."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(60), aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket_:
        await socket_.send_json({"op": "subscribe", "id": "1", "filters": [{"type": "balance.updated"}]})
        while len(found) < count:
            frame = await socket_.receive_json()
            if frame["type"] == "balance.updated" and frame["data"]["cause"] != "first":
                found.append(frame["data"])
    return found


def assert_gone(pids: list[int]) -> None:
    for pid in pids:
        status = Path(f"/proc/{pid}/stat")
        assert not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z"


async def test_balances_change_on_both_chains_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    async with shown(tmp_path) as first:
        url = (await first.says("Open http")).split("Open ")[1]
        told = await changes(url, 12)
        assert {change["chainId"] for change in told} == {31337, 31338}
        assert {change["cause"] for change in told} == {"native", "transfer"}
        started = first.offspring()
        assert len(started) == 3
        assert await first.end(signal.SIGINT) == 0
        assert_gone(started)


async def test_a_second_demo_starts_anew_after_a_killed_one(tmp_path: Path) -> None:
    async with shown(tmp_path) as killed:
        url = (await killed.says("Open http")).split("Open ")[1]
        await changes(url, 1)
        left = killed.offspring()
        killed.process.kill()
        await killed.process.wait()
    async with shown(tmp_path) as second:
        url = (await second.says("Open http")).split("Open ")[1]
        assert await changes(url, 2)
        assert await second.end(signal.SIGTERM) == 0
    assert_gone(left)


async def test_stopped_half_way_it_leaves_nothing_behind(tmp_path: Path) -> None:
    async with shown(tmp_path) as demo_:
        await demo_.says("Starting the service")
        started = demo_.offspring()
        assert len(started) >= 2
        assert await demo_.end(signal.SIGTERM) == 0
        assert_gone(started)


async def test_a_taken_port_is_named_before_anything_is_started(tmp_path: Path) -> None:
    said: list[str] = []
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert await demo.run(port=port, data_dir=tmp_path, say=said.append) == 1
    assert len(said) == 1
    assert f"127.0.0.1:{port}" in said[0]
    assert f"--port {port + 1}" in said[0]
    assert not (tmp_path / FOLDER).exists()


async def test_only_the_demos_own_folder_is_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "mongo" / "precious"
    precious.parent.mkdir()
    precious.touch()
    async with shown(tmp_path) as demo_:
        await demo_.says("Starting the chain")
        await demo_.end(signal.SIGTERM)
    assert precious.exists()
