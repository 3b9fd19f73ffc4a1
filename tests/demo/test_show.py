from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from indexer import demo
from indexer.demo.show import FOLDER
from tests.demo.process import shown

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]


async def changes(url: str, count: int) -> list[dict[str, Any]]:
    """The next balances that change, as a subscriber is told."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(60), aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket_:
        await socket_.send_json({"op": "subscribe", "id": "1", "filters": [{"type": "balance.updated"}]})
        while len(found) < count:
            frame = await socket_.receive_json()
            if frame["type"] == "balance.updated" and frame["data"]["cause"] != "first" and "chainId" in frame["data"]:
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
