"""The commands against a running service: what they print, for people and for programs, and how they end."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.e2e import truth
from tests.e2e.service import Json, Running, running, until
from tests.e2e.world import World, world
from tests.fixtures.mongo import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@dataclass(frozen=True)
class Stage:
    home: World
    service: Running

    async def ask(self, *words: str) -> tuple[int, str, str]:
        return await _command(*words, "--url", self.service.url)

    async def json(self, *words: str) -> Json:
        code, out, _ = await self.ask(*words, "--json")
        assert code == 0
        found: Json = json.loads(out)
        return found

    async def mint(self, amount: int) -> None:
        await self.home.token.send("mint", self.home.cold, amount)
        await self.home.anvil.mine()
        await self.service.followed(self.home.anvil)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with world() as home:
        config = home.config(tmp_path_factory.mktemp("cli"), store={"url": "memory"})
        async with running(config) as service:
            stage = Stage(home, service)
            for amount in (1, 2, 3):
                await stage.mint(amount)
            yield stage


async def _command(*words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "indexer", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_status_is_a_table_for_people_and_json_for_programs(stage: Stage) -> None:
    code, out, _ = await stage.ask("status")
    assert code == 0
    assert "chain:31337" in out
    assert "live" in out
    streams = (await stage.json("status"))["streams"]
    assert streams["chain:31337"]["state"] == "live"


async def test_balances_are_the_services(stage: Stage) -> None:
    code, out, _ = await stage.ask("balances", "--token", stage.home.token.address)
    assert code == 0
    assert out.count("DUSD") == 3
    listed = await stage.json("balances")
    assert listed["items"] == (await stage.service.get("/balances", limit=1000))["items"]
    only = await stage.json("balances", "--solver", stage.home.cold, "--chain", "first", "--token", "native")
    assert [item["solverAddress"] for item in only["items"]] == [stage.home.cold]


async def test_history_is_the_services(stage: Stage) -> None:
    key = ("first", stage.home.token.address, stage.home.cold)
    listed = await stage.json("history", *key)
    assert listed["items"] == await stage.service.history(*key)
    assert len((await stage.json("history", *key, "--limit", "2"))["items"]) == 2
    code, out, _ = await stage.ask("history", *key)
    assert code == 0
    assert out.count("transfer") == 3


async def test_what_is_wrong_is_one_line_and_an_exit_code(stage: Stage) -> None:
    code, out, err = await stage.ask("history", "nowhere", "native", stage.home.cold)
    assert (code, out) == (2, "")
    assert "nowhere" in err
    assert len(err.splitlines()) == 1
    code, _, err = await _command("status", "--url", f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "can't reach" in err
    assert (await _command("history", "first"))[0] == 2
    assert (await _command("nonsense"))[0] == 2
    code, out, _ = await _command("check", "--config", str(stage.service.config.path))
    assert code == 0
    assert "1 chain, 3 solvers" in out


@asynccontextmanager
async def _tail(stage: Stage, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    before = (await stage.service.get("/status"))["subscribers"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "indexer", "tail", "--url", stage.service.url, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:

        async def subscribed() -> bool:
            return bool((await stage.service.get("/status"))["subscribers"] > before)

        await until(subscribed)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_tail_prints_events_as_they_come(stage: Stage) -> None:
    async with _tail(stage, "--json", "--type", "balance.updated", "--limit", "2") as process:
        await stage.mint(10)
        await stage.mint(20)
        async with asyncio.timeout(40):
            out, _ = await process.communicate()
        assert process.returncode == 0
        events = [json.loads(line) for line in out.decode().splitlines()]
        assert [event["data"]["changeAmount"] for event in events] == ["10", "20"]
        assert events == (await stage.service.events(stage.home.stream))[-2:]


async def test_tail_is_for_people_too_and_ctrl_c_ends_it(stage: Stage) -> None:
    async with _tail(stage, "--solver", stage.home.cold) as process:
        await stage.mint(5)
        assert process.stdout is not None
        async with asyncio.timeout(40):
            line = (await process.stdout.readline()).decode()
            assert "DUSD" in line
            assert "+5" in line
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0


async def test_every_number_that_was_shown_is_the_chains(stage: Stage) -> None:
    await truth.check_history(stage.service, stage.home.anvil, stage.home.holdings())
