"""The process: how fast `--help` answers, how soon it is ready again, and how much memory it takes."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.bench.rows import Row
from tests.bench.stage import (
    Chain,
    Running,
    configuration,
    running_chain,
    running_mongod,
    running_service,
    until,
    wallets,
)

HELP_SECONDS: Final = 0.5
READY_SECONDS: Final = 5.0
MEGABYTES: Final = 150.0
HELPS: Final = 9
STARTS: Final = 5
MISSED: Final = 10
CHAINS: Final = 10
WALLETS: Final = 200
TOKENS: Final = 20
BLOCKS: Final = 200
NOTHING: Final = float("nan")


async def run(*, quick: bool = False) -> list[Row]:
    rows = [await asyncio.to_thread(_help)]
    rows.append(await _ready_again(2 if quick else STARTS))
    rows += await _memory(20 if quick else BLOCKS)
    return rows


def _help() -> Row:
    ours, bare = [], []
    for _ in range(HELPS):
        ours.append(_seconds("-m", "indexer", "--help"))
        bare.append(_seconds("-c", "pass"))
    us, floor = statistics.median(ours), statistics.median(bare)
    return Row("process: indexer --help, against python -c pass", us, floor, us, HELP_SECONDS, unit="s", at_most=True)


def _seconds(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run((sys.executable, *command), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


async def _ready_again(starts: int) -> Row:
    """From the start of the process until /ready says 200, with the embedded store and blocks that were missed."""
    async with running_chain(31337, 1) as chain:
        watched = wallets(100)
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            text = configuration([chain], watched, store="embedded", data_dir=folder / "data")
            async with running_service(text, folder):
                pass
            times = []
            for _ in range(starts):
                await chain.anvil.mine(MISSED)
                async with running_service(text, folder) as service:
                    times.append(time.perf_counter() - service.started)
    seconds = statistics.median(times)
    return Row("process: ready again, embedded store", seconds, NOTHING, seconds, READY_SECONDS, unit="s", at_most=True)


async def _memory(blocks: int) -> list[Row]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        mongo = await stack.enter_async_context(running_mongod())
        chains = [await stack.enter_async_context(running_chain(40_000 + n, TOKENS)) for n in range(CHAINS)]
        text = configuration(chains, wallets(WALLETS), store=mongo, data_dir=folder / "data")
        service = await stack.enter_async_context(running_service(text, folder))
        at_first = service.megabytes()
        for chain in chains:
            await _mine(chain, service, blocks)
        what = f"process: memory, {CHAINS} chains, {WALLETS} wallets, {TOKENS} tokens"
        return [_bounded(f"{what}, ready", at_first), _bounded(f"{what}, {blocks} blocks on", service.megabytes())]


async def _mine(chain: Chain, service: Running, blocks: int) -> None:
    """So many blocks, each of which moves ten balances."""
    watched = wallets(WALLETS)
    for number in range(blocks):
        some = [watched[(number * 10 + each) % WALLETS] for each in range(10)]
        await chain.tokens[number % TOKENS].send("mintMany", some, 5)
        await chain.anvil.mine()
    last = int((await chain.anvil.block())["number"], 16)
    await until(lambda: service.reached(chain.stream, last))


def _bounded(name: str, megabytes: float) -> Row:
    return Row(name, megabytes, NOTHING, megabytes, MEGABYTES, unit="MB", at_most=True)
