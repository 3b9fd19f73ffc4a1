"""A configuration that changes all the time: what is not concerned goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from indexer.app import Service
from indexer.config import load
from tests.e2e.reloading import Storm
from tests.e2e.service import Running, running, until
from tests.e2e.world import World, world
from tests.fixtures.proxy import Proxy

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

SEED = int(os.environ.get("RELOAD_SEED", "9"))
CHANGES = 100


@pytest.mark.timeout(300)
async def test_a_hundred_random_changes_under_load_lose_nothing(home: World, tmp_path: Path) -> None:
    async with world(5) as second, world(7) as third, Storm((home, second, third), tmp_path, seed=SEED) as storm:
        await storm.rage(CHANGES)
        await storm.settle()
        await storm.check()


async def test_another_start_block_or_interval_leaves_the_connections_alone(home: World, tmp_path: Path) -> None:
    async with Proxy(home.anvil.port) as counted:
        config = home.config(tmp_path, chains={"first": home.table(ws_urls=[counted.ws_url])})
        async with running(config) as service:
            await service.says("socket_open")
            connections = counted.connections
            for more in ({"sync_interval_seconds": 1}, {"sync_interval_seconds": 1, "start_block": 0}):
                service.config = config.but(chains={"first": home.table(ws_urls=[counted.ws_url], **more)})
                service.config.write()
                status, applied = await service.post("/reload")
                assert (status, applied["chains"]["changed"]) == (200, ["first"])
            # Both are in force: what no log tells of is found within a second, and history before us is there.
            await home.anvil.rpc("anvil_setBalance", home.cold, hex(5))
            await service.says("history_filled")
            await until(lambda: _is(service, home, "5"))
            assert counted.connections == connections
            assert (await service.stream(home.anvil.chain_id))["restarts"] == 0
            assert len(await service.says("chain_caught_up")) == 1


async def test_a_chain_that_is_removed_leaves_no_task_and_no_connection(home: World, tmp_path: Path) -> None:
    async with world(5) as other, Proxy(other.anvil.port) as ws, Proxy(other.anvil.port) as http:
        one = home.config(tmp_path, store={"url": "memory"})
        table = other.table(rpc_urls=[http.http_url], ws_urls=[ws.ws_url])
        two = one.but(chains={**one.chains, "other": table})
        async with Service(load(one.write(), {}), serve=False) as service:
            await service.ready()
            before = _tasks()
            for _ in range(3):
                two.write()
                await service.control.reload()
                await service.ready()
                assert ws.open
                assert len(_tasks()) > len(before)
                one.write()
                await service.control.reload()
                await until(lambda: _tasks() == before)
                await until(lambda: not ws.open and not http.open)


async def test_a_chain_that_is_changed_is_known_all_the_time(home: World, tmp_path: Path) -> None:
    config = home.config(tmp_path, store={"url": "memory"})
    chain_id = home.anvil.chain_id
    stream = f"chain:{chain_id}"
    async with Service(load(config.write(), {}), serve=False) as service:
        await service.ready()
        name = next(iter(config.chains))
        config.but(chains={name: home.table(reorg_window_blocks=99)}).write()
        task = asyncio.ensure_future(service.control.reload())
        while not task.done():
            assert service._chains.node(chain_id) is not None
            (shown,) = (one for one in service.report.streams() if one.stream == stream)
            assert shown.seq > 0
            await asyncio.sleep(0)
        assert (await task)["chains"]["changed"] == [name]
        await service.ready()


async def test_no_hang_up_while_it_starts_ends_it(home: World, tmp_path: Path) -> None:
    async with Running(home.config(tmp_path, store={"url": "memory"})) as service:
        await service.launch()
        # Its first line; what comes before is Python's own start, in which nothing of ours can help.
        await until(lambda: _ignores_hang_ups(service.pid), every=0.001)
        while not service.said("listening"):
            service.hang_up()
            await asyncio.sleep(0.01)
            assert service.alive
        assert await service.end(signal.SIGTERM) == 0


async def test_a_file_saved_while_it_starts_is_in_force_once_it_runs(home: World, tmp_path: Path) -> None:
    config = home.config(tmp_path, store={"url": "memory"})
    async with Running(config) as service:
        await service.launch()
        # It imports for about a second after it has read its file, and before it looks at it again.
        await until(lambda: "aiohttp" in Path(f"/proc/{service.pid}/maps").read_text())
        service.config = config.but(solvers={"acme": {"address": home.acme}})
        service.config.write()
        applied = await service.says("config_applied")
        assert applied[0]["solvers"]["removed"] == ["bolt", "cold"]
        service.url = (await service.says("listening"))[0]["url"]
        assert [item["name"] for item in (await service.get("/solvers"))["items"]] == ["acme"]


def _ignores_hang_ups(pid: int) -> bool:
    (ignored,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn")]
    return bool(int(ignored.split()[1], 16) & 1 << (signal.SIGHUP - 1))


async def _is(service: Running, home: World, balance: str) -> bool:
    found = await service.balance("first", "native", home.cold)
    return bool(found["balance"] == balance)


def _tasks() -> list[str]:
    return sorted(task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-"))
