"""SIGTERM and Ctrl-C: soon, with exit code 0, a goodbye to subscribers, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from repositories.left_over import left_over
from tests.e2e.mongo import Mongo
from tests.e2e.service import Config, Running, run_to_its_end, running, until
from tests.e2e.world import World
from tests.fixtures.mongo import running_mongod
from tests.fixtures.proxy import Proxy

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

SOON = 4.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_is_quick_and_says_goodbye(home: World, tmp_path: Path, number: signal.Signals) -> None:
    async with running(home.config(tmp_path)) as service, service.subscribed() as subscriber:
        data = service.config.data_dir / "mongo"
        assert left_over(data) is not None
        begun = time.monotonic()
        assert await service.end(number) == 0
        assert time.monotonic() - begun < SOON
        assert await subscriber.closed() == 1001
        assert left_over(data) is None
        assert service.said("stopped", exit_code=0)
        assert not [line for line in service.log if line.get("level") in ("warning", "error", "critical")]


async def test_a_stop_waits_neither_for_a_node_nor_for_a_store_that_are_gone(home: World, tmp_path: Path) -> None:
    with Mongo() as mongo:
        async with running(home.config(tmp_path, store={"url": mongo.url})) as service:
            await home.token.send("mint", home.cold, 1)
            mongo.kill()
            await home.anvil.mine()
            await service.says("store_lost")
            home.anvil.suspend()
            try:
                begun = time.monotonic()
                assert await service.end() == 0
                assert time.monotonic() - begun < SOON + 2
            finally:
                home.anvil.resume()


@pytest.mark.parametrize("stands_still", ["the server", "an insert"])
async def test_a_stop_does_not_wait_for_a_store_that_keeps_a_commit_waiting(
    home: World, tmp_path: Path, stands_still: str
) -> None:
    with Mongo() as mongo:
        async with running(home.config(tmp_path, store={"url": mongo.url})) as service:
            if stands_still == "the server":
                mongo.freeze()
            else:
                mongo.hang("failCommand", failCommands=["insert"], blockConnection=True, blockTimeMS=25_000)
            await home.token.send("mint", home.cold, 1)
            await home.anvil.mine()
            await service.says("store_lost")
            begun = time.monotonic()
            assert await service.end() == 0
            assert time.monotonic() - begun < SOON + 2


async def test_a_private_mongod_that_stands_still_is_ended_with_the_service(home: World, tmp_path: Path) -> None:
    async with running(home.config(tmp_path)) as service:
        mongod = left_over(service.config.data_dir / "mongo")
        assert mongod is not None
        os.kill(mongod, signal.SIGSTOP)
        await home.token.send("mint", home.cold, 1)
        await home.anvil.mine()
        await service.says("store_lost")
        begun = time.monotonic()
        service.ask_to_end()
        assert await service.ended(28) == 0
        assert time.monotonic() - begun < 25
        assert left_over(service.config.data_dir / "mongo") is None


async def test_a_stop_while_it_starts_leaves_nothing_behind(home: World, tmp_path: Path) -> None:
    async with Running(home.config(tmp_path)) as service:
        for moment in (0.3, 0.9, 1.3, 1.6):
            await service.launch()
            await asyncio.sleep(moment)
            # Before Python has got to our handler, the signal's own meaning ends the process: that is clean as well.
            assert await service.end() in (0, -signal.SIGTERM)
            assert left_over(service.config.data_dir / "mongo") is None
            assert not service.said("crashed")


async def test_no_log_line_shows_a_secret(home: World, tmp_path: Path) -> None:
    key = "pRoVidErKeY0123456789abcdef"
    async with Provider(home.anvil.port, key) as provider:
        table = home.table(rpc_urls=[f"{provider.http_url}/v3/{key}"], ws_urls=[f"{provider.ws_url}/v3/{key}"])
        async with running(home.config(tmp_path, chains={"first": table}, store={"url": "memory"})) as service:
            await provider.stop()
            await until(lambda: _is_ill(service))
            assert await service.says("endpoint_lost")
            assert key not in str(await service.get("/status"))
            assert key not in str(await service.call("GET", "/ready"))
            assert await service.end() == 0
            assert service.raw
            assert not [line for line in service.raw if key in line]


class Provider(Proxy):
    """A node behind a key in the path, as the big providers have it."""

    def __init__(self, target_port: int, key: str) -> None:
        super().__init__(target_port)
        self._path = f" /v3/{key} ".encode()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, **_: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data.replace(self._path, b" / "))
                await writer.drain()
        writer.close()


async def _is_ill(service: Running) -> bool:
    return not await service.is_ready()


async def test_a_store_that_refuses_us_is_named_without_its_password(home: World, tmp_path: Path) -> None:
    with running_mongod() as url:
        wrong = url.replace("mongodb://", "mongodb://indexer:hunter2-s3cret@")
        await _refuses_quietly(home.config(tmp_path, store={"url": wrong}))


async def _refuses_quietly(config: Config) -> None:
    code, service = await run_to_its_end(config)
    assert code == 1
    assert len(service.said("cannot_run")) == 1
    assert "mongodb://***@127.0.0.1" in service.said("cannot_run")[0]["reason"]
    assert not [line for line in service.raw if "hunter2" in line]
