"""A service that was away for 20,000 blocks: how soon it is current again, and how soon everything of them is stored.

A node without old state has only logs for what was missed: balances are read at the newest block and told, then history
is derived down to the last block that was followed. Where the node keeps all state, every changed balance is read at
the block that changed it.
"""

from __future__ import annotations

import functools
import math
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from indexer.demo.anvil import Anvil
from tests.bench.bare import fetched_and_inserted
from tests.bench.longchain import PER_BLOCK, add_blocks, height, long_chain
from tests.bench.rows import Row
from tests.bench.stage import Chain, Running, configuration, running_mongod, running_service, until
from tests.fixtures.chain import wallets

WALLETS: Final = 50
TURNS: Final = 3


async def run(*, quick: bool) -> list[Row]:
    blocks = 2_000 if quick else 20_000
    return [*await _without_state(blocks), *await _with_state(blocks)]


@dataclass(frozen=True)
class _Gap:
    """`service` is up again since `started`; the chain has grown to block `last` meanwhile."""

    anvil: Anvil
    service: Running
    stream: str
    last: int
    started: float
    bare: float
    """Documents a second of the floor."""

    async def seconds(self) -> float:
        """Until now; what was told by now can be read."""
        await self.service.get(f"/api/v1/balances?limit=1&chain={self.anvil.chain_id}")
        return time.perf_counter() - self.started


@asynccontextmanager
async def _followed(args: Sequence[str]) -> AsyncIterator[Callable[[int], AbstractAsyncContextManager[_Gap]]]:
    """Every balance was read once; each call is an absence of so many blocks."""
    people = wallets(WALLETS)
    async with long_chain(args) as (anvil, token), running_mongod() as store:
        chain, databases = Chain(anvil, (token,)), count()
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            text = configuration([chain], people, store=store, data_dir=Path(folder) / "data")
            async with running_service(text, Path(folder)):
                pass

            @asynccontextmanager
            async def away(blocks: int) -> AsyncIterator[_Gap]:
                before = await height(anvil)
                await add_blocks(anvil, token, people, blocks)
                last = await height(anvil)
                database = f"bare{next(databases)}"
                bare = await fetched_and_inserted(anvil, token.address, people, store, database, first=before + 1)
                async with running_service(text, Path(folder), ready=False) as service:
                    yield _Gap(anvil, service, chain.stream, last, time.perf_counter(), bare)

            yield away


async def _without_state(blocks: int) -> list[Row]:
    """Three absences, one after the other: the floor alone moves by a third from one to the next."""
    turns: list[tuple[float, float, float]] = []
    async with _followed(("--prune-history", "4")) as away:
        for _ in range(TURNS):
            async with away(blocks) as gap:
                await until(functools.partial(gap.service.reached, gap.stream, gap.last))
                current = await gap.seconds()
                await until(functools.partial(_is_filled, gap, blocks), every=0.05)
                turns.append((current, blocks * PER_BLOCK / await gap.seconds(), gap.bare))
    current, rate, bare = (statistics.median(figures) for figures in zip(*turns, strict=True))
    ratio = statistics.median(ours / floor for _, ours, floor in turns)
    return [
        Row("gap: current again, no old state", current, math.nan, current, 1, "s", at_most=True),
        Row(f"gap: {_size(blocks)}, derived", rate / 1_000, bare / 1_000, ratio, 0.5, "k/s"),
        Row("gap: the same, per second", rate, math.nan, rate, 5_000, "1/s"),
    ]


async def _with_state(blocks: int) -> list[Row]:
    async with _followed(("--max-persisted-states", str(blocks + 1_000))) as away, away(blocks) as gap:
        await until(lambda: gap.service.reached(gap.stream, gap.last))
        took = await gap.seconds()
        status = (await gap.service.get("/api/v1/status"))["streams"][gap.stream]
    records = blocks * PER_BLOCK
    if status["seq"] < records:
        raise RuntimeError(f"{status['seq']} events of {records} transfers: {status}")
    rate = records / took
    return [
        Row(f"gap: {_size(blocks)}, each read and told", rate / 1_000, gap.bare / 1_000, rate / gap.bare, 0.05, "k/s"),
        Row("gap: the same, blocks per second", blocks / took, math.nan, blocks / took, 250, "1/s"),
    ]


def _size(blocks: int) -> str:
    return f"{blocks * PER_BLOCK:,} logs in {blocks:,} blocks"


async def _is_filled(gap: _Gap, blocks: int) -> bool:
    """All that logs tell of; native balances, of which there is next to nothing to read, are a job of their own."""
    jobs = (await gap.service.get("/api/v1/backfill"))["items"]
    job = max(jobs, key=lambda job: (int(job["fromBlock"]), int(job["derived"])), default=None)
    if job is None or job["toBlock"] != gap.last - 1 or job["progress"] < 1 or not job["derived"]:
        return False
    # The newest block has records of its own, at which everything was read; a few below it have state, too.
    if not (blocks - 1) * PER_BLOCK <= job["records"] <= blocks * PER_BLOCK or job["derived"] < 0.9 * job["records"]:
        raise RuntimeError(f"{job['records']} records, {job['derived']} of them derived, of {blocks} blocks")
    return True
