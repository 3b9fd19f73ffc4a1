"""Endpoints that leave out logs of history, between the service and a real chain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from indexer.config import Settings
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.recording.records import BalanceRecord
from tests.fixtures.chain import wallets
from tests.fixtures.liar import Alter, Liar
from tests.history.service import consistent, filled, history, running, settings

pytestmark = [pytest.mark.node]

ALICE, BOB = wallets(2)
BLOCKS = 24


@pytest.fixture(params=["archive", "pruned"])
async def chain(request: pytest.FixtureRequest) -> AsyncIterator[Anvil]:
    async with Anvil(args=() if request.param == "archive" else ("--prune-history", "3")) as node:
        yield node


@pytest_asyncio.fixture
async def liar(chain: Anvil) -> AsyncIterator[Liar]:
    async with Liar(chain.http_url) as fake:
        yield fake


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


async def moved(chain: Anvil) -> tuple[Deployed, dict[str, dict[int, int]]]:
    """A token of which something moves in every block; what both wallets had after each."""
    token = await deploy(chain, "PlainToken", "Demo Dollar", "DUSD", 6)
    said: dict[str, dict[int, int]] = {ALICE: {}, BOB: {}}
    for index in range(BLOCKS):
        await token.send("mint", ALICE, 10 + index)
        await token.send("move", ALICE, BOB, 1 + index)
        await chain.mine()
        number = int((await chain.block())["number"], 16)
        for wallet, rows in said.items():
            rows[number] = await token.balance(wallet)
    await chain.mine(4)
    return token, said


def at(chain: Anvil, tmp_path: Path, token: Deployed, *urls: str) -> Settings:
    wanted = settings(chain, tmp_path, (token.address,), (ALICE, BOB), start_block=0)
    return replace(wanted, chains={"local": replace(wanted.chains["local"], rpc_urls=urls)})


def leaving_out(*, every: int = 3, times: int = 1_000) -> Alter:
    """The logs of some blocks, where those of a range are asked for, so many times of each."""
    gone: dict[tuple[int, str], int] = {}

    def is_told(call: dict[str, Any], log: dict[str, Any]) -> bool:
        if int(log["blockNumber"], 16) % every:
            return True
        name = len(call["params"][0]["topics"]), str(log["blockNumber"])
        gone[name] = gone.get(name, 0) + 1
        return gone[name] > times

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_getLogs" or "fromBlock" not in call["params"][0]:
            return answer
        return {**answer, "result": [log for log in answer["result"] if is_told(call, log)]}

    return alter


def right(rows: list[BalanceRecord], said: dict[int, int]) -> None:
    """Each change has its record, and the logs of its block explain it."""
    there = rows[:-1] if rows[-1].block.number not in said else rows
    assert {row.block.number: row.balance for row in there} == said
    consistent(rows)
    for before, after in pairwise(there):
        assert after.unexplained == 0, (before, after)
        assert {log.block_number for log in after.transfers} == {after.block.number}


async def test_what_one_endpoint_leaves_out_of_history_another_one_tells(
    chain: Anvil, liar: Liar, tmp_path: Path, lines: list[Any]
) -> None:
    token, said = await moved(chain)
    liar.alter = leaving_out()
    async with running(at(chain, tmp_path, token, liar.url, chain.http_url)) as service:
        jobs = await filled(service)
        for wallet, rows in said.items():
            right(await history(service, token.address, wallet), rows)
    assert not any(holding.token == token.address for job in jobs for holding in job.reasons)
    set_aside = [line["reason"] for line in lines if line["event"] == "endpoint_set_aside"]
    assert set_aside == ["leaves out logs that another endpoint has"]
    assert [line["found"] for line in lines if line["event"] == "logs_left_out"] == ["history"]


async def test_a_single_endpoint_is_asked_once_more(chain: Anvil, liar: Liar, tmp_path: Path) -> None:
    token, said = await moved(chain)
    liar.alter = leaving_out(times=1)
    async with running(at(chain, tmp_path, token, liar.url)) as service:
        await filled(service)
        for wallet, rows in said.items():
            right(await history(service, token.address, wallet), rows)


async def test_what_a_single_endpoint_always_leaves_out_is_said_to_differ_or_marked(
    chain: Anvil, liar: Liar, tmp_path: Path, lines: list[Any]
) -> None:
    token, _ = await moved(chain)
    liar.alter = leaving_out(every=5)
    async with running(at(chain, tmp_path, token, liar.url)) as service:
        jobs = await filled(service)
    unproven = {holding.token for job in jobs for holding in job.reasons}
    differs = {line["token"] for line in lines if line["event"] == "history_differs"}
    assert token.address in unproven | differs
