"""The whole service on a real chain, asked for history as its users ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from indexer.addresses import checksum
from indexer.app import Indexer
from indexer.config import ChainSettings, ServiceSettings, Settings, SolverSettings, StoreSettings
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, compiled, mined
from indexer.domain.chain import Address
from indexer.domain.history.jobs import Job
from indexer.domain.recording.records import BalanceRecord

SECONDS = 30


def settings(
    anvil: Anvil, folder: Path, tokens: tuple[str, ...], solvers: tuple[str, ...], store: str = "memory", **chain: Any
) -> Settings:
    return Settings(
        service=ServiceSettings(port=0, data_dir=folder),
        store=StoreSettings(url=store),
        chains={
            "local": ChainSettings(
                name="local",
                chain_id=anvil.chain_id,
                rpc_urls=(anvil.http_url,),
                ws_urls=(anvil.ws_url,),
                tokens=tuple(Address(token) for token in tokens),
                **chain,
            )
        },
        solvers={f"s{i}": SolverSettings(f"s{i}", checksum(wallet)) for i, wallet in enumerate(solvers)},
    )


@asynccontextmanager
async def running(wanted: Settings, *, serve: bool = False) -> AsyncIterator[Indexer]:
    async with Indexer(wanted, serve=serve) as service, asyncio.timeout(SECONDS):
        await service.ready()
        yield service


async def filled(service: Indexer, jobs: int = 2) -> list[Job]:
    """The jobs, once so many are through."""
    while True:
        found = [job for job in service.control.backfills() if job.is_over or job.state == "settling"]
        if len(found) >= jobs and len(found) == len(service.control.backfills()):
            assert not any(job.state == "failed" for job in found), found
            await service.positions.caught_up()
            return found
        await asyncio.sleep(0.02)


async def history(service: Indexer, token: str, wallet: str) -> list[BalanceRecord]:
    """Oldest first, all of it."""
    rows = await service.history("local", token, wallet, limit=10_000)
    return list(rows)[::-1]


def consistent(rows: list[BalanceRecord]) -> None:
    """Every record's change is the step from the one before it, and only the first has none."""
    assert rows[0].change is None
    for before, after in pairwise(rows):
        assert before.block.number < after.block.number
        assert after.change == after.balance - before.balance, (before, after)


async def odd(anvil: Anvil, kind: str, alice: str, bob: str) -> Deployed:
    """A token that takes a fee of what arrives, or that grows by itself."""
    contract = (await compiled())[kind]
    transaction = await anvil.send(None, data=contract.code, gas=5_000_000)
    await anvil.mine()
    token = Deployed(anvil, contract, checksum((await mined(anvil, transaction))["contractAddress"]))
    await token.send("mint", alice, 1_000)
    await anvil.mine()
    await token.send("move", alice, bob, 500)
    await anvil.mine()
    if kind == "RebasingToken":
        await token.send("rebase", 11 * 10**17)
        await anvil.mine()
        await token.send("move", bob, alice, 200)
    else:
        await token.send("mint", alice, 100)
        await token.send("move", alice, bob, 100)
    await anvil.mine(8)
    return token
