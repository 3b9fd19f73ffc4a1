"""`python -m tests.bench soak`: an hour of blocks, ten a second, as fast as they go: what grows, and does it stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Final

import aiohttp

from indexer.demo.anvil import Anvil
from indexer.demo.contracts import deploy
from tests.bench.rows import Row
from tests.bench.stage import Chain, Running, configuration, running_service, until, wallets

BLOCKS: Final = int(os.environ.get("BLOCKS", "36000"))
"""An hour with ten blocks a second."""

QUICK_BLOCKS: Final = 3_000
WARM: Final = 0.1
MOVED: Final = 3
"""Balances that change in each block."""

AHEAD: Final = 25
"""Blocks that may be mined and not handled: heads come in as live ones, hardly ever as a gap."""

WALLETS: Final = 100
GROWTH: Final = 5.0
FEW: Final = 2.0
"""Tasks that are there or not at the moment of asking: an answer, a read."""

NOTHING: Final = float("nan")


async def run(*, quick: bool = False) -> list[Row]:
    blocks = QUICK_BLOCKS if quick else BLOCKS
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        # The chain forgets its own past, so that it is not what takes the memory of the machine.
        anvil = await stack.enter_async_context(Anvil(chain_id=31337, args=("--prune-history", "500")))
        chain = Chain(anvil, (await deploy(anvil, "PlainToken", "Token", "TKN", 6),))
        text = configuration([chain], wallets(WALLETS), store="embedded", data_dir=folder / "data")
        # All that is done now and then is done as often per block as in that hour, or more often.
        text = text.replace("tokens = [", "sync_interval_seconds = 30\ntokens = [")
        service = await stack.enter_async_context(running_service(text, folder))
        await stack.enter_async_context(_listening(service))
        return await _soak(chain, service, blocks)


async def _soak(chain: Chain, service: Running, blocks: int) -> list[Row]:
    watched, step = wallets(WALLETS), max(1, blocks // 200)
    first = int((await chain.anvil.block())["number"], 16)
    megabytes, tasks = [], []
    for number in range(1, blocks + 1):
        some = [watched[(number * MOVED + each) % WALLETS] for each in range(MOVED)]
        await chain.tokens[0].send("mintMany", some, 5)
        await chain.anvil.mine()
        if number % AHEAD == 0:
            await until(lambda: service.reached(chain.stream, first + number - AHEAD))  # noqa: B023 - awaited here
        if number % step == 0:
            megabytes.append(service.megabytes())
            tasks.append(await _tasks(service))
        if number % (blocks // 20) == 0:
            print(f"{number}: {megabytes[-1]:.1f} MB, {tasks[-1]} tasks", file=sys.stderr, flush=True)  # noqa: T201
    await until(lambda: service.reached(chain.stream, first + blocks))
    warm, part = int(len(megabytes) * WARM), max(1, len(megabytes) // 20)
    before, after = median(megabytes[warm : warm + part]), median(megabytes[-part:])
    growth = 100 * (after / before - 1)
    what = f"soak: {blocks:,} blocks,"
    return [
        Row(f"{what} memory after a tenth", before, NOTHING, before, 150.0, unit="MB", at_most=True),
        Row(f"{what} memory at the end", after, before, growth, GROWTH, unit="MB, %", at_most=True),
        Row(
            f"{what} tasks at the end, more than after a tenth",
            median(tasks[-part:]),
            median(tasks[warm : warm + part]),
            median(tasks[-part:]) - median(tasks[warm : warm + part]),
            FEW,
            unit="",
            at_most=True,
        ),
    ]


async def _tasks(service: Running) -> int:
    async with service.http.get(f"{service.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return int(next(float(line.split()[1]) for line in lines if line.startswith("indexer_tasks ")))


@contextlib.asynccontextmanager
async def _listening(service: Running) -> AsyncIterator[None]:
    """A subscriber that gets everything, as there always is one."""
    async with service.http.ws_connect(f"{service.url}/ws", max_msg_size=0) as socket:
        await socket.send_str('{"op":"subscribe","id":"1","snapshot":true}')
        reading = asyncio.create_task(_read(socket))
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass
