"""History that was before the service: filled through kills, told once, ordered from the command line."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path

import aiohttp
import pytest

from indexer.demo.anvil import Anvil
from indexer.demo.contracts import deploy
from tests.e2e import truth
from tests.e2e.service import Config, Json, Running, chain_table, running, until
from tests.fixtures.chain import wallets

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

BLOCKS = 120
MINTS = 60


@pytest.mark.timeout(120)
async def test_kills_while_history_is_filled_lose_and_repeat_nothing(tmp_path: Path) -> None:
    rng = random.Random(5)  # noqa: S311 - a script, not a secret
    people = wallets(20)
    async with Anvil(args=("--prune-history", "5")) as anvil:
        token = await deploy(anvil, "PlainToken", "Demo Dollar", "DUSD", 6)
        for _ in range(BLOCKS):
            await token.send("mintMany", [rng.choice(people) for _ in range(MINTS)], 3, gas=20_000_000)
            await anvil.mine()
        minted = {wallet: await changes(token, wallet, anvil) for wallet in people[:3]}
        config = Config(
            tmp_path,
            chains={"local": chain_table(anvil, tokens=[token.address], start_block=0)},
            solvers={f"s{index}": {"address": wallet} for index, wallet in enumerate(people)},
        )
        async with running(config) as service:
            for _ in range(6):
                await asyncio.sleep(rng.uniform(0.0, 0.25))
                await service.kill()
                await service.start(ready=False)
            await service.ready()
            jobs = await until(lambda: through(service), 60)
            assert [job["state"] for job in jobs] == ["settling"] * 2
            assert not any(job["unproven"] for job in jobs if job["records"])
            for wallet, rows in minted.items():
                found = (await service.history("local", token.address, wallet))[::-1]
                assert {row["blockNumber"]: int(row["balance"]) for row in found if row["cause"] == "transfer"} | {
                    found[0]["blockNumber"]: int(found[0]["balance"])
                } == rows
            events = await service.events(f"history:{anvil.chain_id}")
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
            assert {event["type"] for event in events} == {"history.filled"}
            told = sum(event["data"]["records"] for event in events)
            assert told == sum(job["records"] for job in jobs)
            tiled(events)


def tiled(events: list[Json]) -> None:
    """Per balance the parts lie end to end: nothing is told twice, nothing is left out."""
    reached: dict[tuple[str, str], int] = {}
    for event in events:
        data = event["data"]
        key = (data["tokenAddress"], data["solverAddress"])
        if data["records"] or key not in reached:
            assert data["fromBlock"] == reached.get(key, -1) + 1
        reached[key] = data["toBlock"]


async def changes(token: object, wallet: str, anvil: Anvil) -> dict[int, int]:
    """What the logs say this wallet had after every block that changed it: it only ever receives."""
    topic = "0x" + "0" * 24 + wallet[2:].lower()
    asked = {"fromBlock": "0x0", "toBlock": "latest", "topics": [None, None, topic]}
    rows: dict[int, int] = {}
    for log in await anvil.rpc("eth_getLogs", asked):
        rows[int(log["blockNumber"], 16)] = (list(rows.values()) or [0])[-1] + int(log["data"], 16)
        rows = dict.fromkeys(rows, 0) | rows
    assert token
    return rows


async def through(service: Running) -> list[Json] | None:
    jobs: list[Json] = (await service.get("/backfill"))["items"]
    assert not any(job["state"] == "failed" for job in jobs), jobs
    return jobs if jobs and all(job["state"] in ("settling", "done") for job in jobs) else None


async def test_history_is_ordered_from_the_command_line(anvil: Anvil, tmp_path: Path) -> None:
    token = await deploy(anvil, "PlainToken", "Demo Dollar", "DUSD", 6)
    (wallet,) = wallets(1)
    for amount in (5, 7):
        await token.send("mint", wallet, amount)
        await anvil.mine()
    await anvil.mine()
    config = Config(tmp_path, {"local": chain_table(anvil, tokens=[token.address])}, {"s": {"address": wallet}})
    async with running(config.but(store={"url": "memory"})) as service:
        assert len(await service.history("local", token.address, wallet)) == 1
        code, out = await command(service, "--token", token.address)
        assert code == 0
        assert "2 records of 1 balances, 0 of them derived" in out
        status = (await service.get("/status"))["streams"][f"history:{anvil.chain_id}"]
        assert (status["name"], status["state"], status["lastError"]) == ("local", "live", None)
        events = await service.events(f"history:{anvil.chain_id}")
        assert status["seq"] == status["projectedSeq"] == len(events) == 1
        assert (events[0]["type"], events[0]["data"]["records"]) == ("history.filled", 2)
        async with aiohttp.ClientSession() as http, http.get(f"{service.url}/metrics") as answer:
            metrics = await answer.text()
        for name, count in {"backfill_jobs": 0, "backfill_remaining_blocks": 0, "backfilled_records_total": 2}.items():
            assert f'indexer_{name}{{chain="local"}} {count}.0' in metrics
        found = await service.history("local", token.address, wallet)
        assert [(row["balance"], row["changeAmount"]) for row in found] == [("12", "0"), ("12", "7"), ("5", None)]
        code, out = await command(service, "--chain", "local", "--json", "--from-block", "3")
        assert [job["fromBlock"] for job in json.loads(out)["items"]] == [3, 3]


async def test_an_order_that_begins_later_unsays_nothing_of_what_is_known(anvil: Anvil, tmp_path: Path) -> None:
    """A token moved without a log between two records: the one above tells so, and goes on to do it."""
    token = await deploy(anvil, "SilentToken")
    (wallet,) = wallets(1)
    for name, amount, blocks in (("mint", 1000, 9), ("mintSilently", 5, 9)):
        await token.send(name, wallet, amount)
        await anvil.mine(blocks)
    table = chain_table(anvil, tokens=[token.address], start_block=0)
    config = Config(tmp_path, {"local": table}, {"s": {"address": wallet}})
    async with running(config.but(store={"url": "memory"})) as service:
        await until(lambda: through(service))
        asked = f"/balances/local/{token.address}/{wallet}/history"
        before = (await service.get(asked, explain="true"))["items"]
        assert (before[0]["unexplained"], before[1]["balance"]) == ("5", "1000")
        code, _ = await command(service, "--token", token.address, "--from-block", str(before[1]["blockNumber"] + 4))
        assert code == 0
        after = (await service.get(asked, explain="true"))["items"]
        assert [row["unexplained"] for row in after] == [row["unexplained"] for row in before]
        for row in (
            after[1],
            await service.balance("local", token.address, wallet, block=before[0]["blockNumber"] - 1),
        ):
            assert int(row["balance"]) == await truth.balance(anvil, token.address, wallet, row["verifiedBlock"])


async def command(service: Running, *args: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "indexer", "backfill", "--url", service.url, *args),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()
