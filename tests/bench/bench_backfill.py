"""History filled from Transfer logs on a chain without old state, beside a script that only fetches and inserts.

`python -m tests.bench backfill` prints it: 20,000 blocks with 100,000 logs, or a tenth of that with `--quick`.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from tests.bench.bare import fetched_and_inserted
from tests.bench.longchain import PER_BLOCK, add_blocks, long_chain
from tests.bench.rows import Row
from tests.bench.stage import Chain, Running, configuration, running_mongod, running_service, until
from tests.fixtures.chain import wallets

WALLETS: Final = 50
TURNS: Final = 3
ROUNDS: Final = 60
WARM_ROUNDS: Final = 10
PAUSE_SECONDS: Final = 0.05


async def run(*, quick: bool) -> list[Row]:
    """About two minutes; a tenth of the chain when quick."""
    blocks = 2_000 if quick else 20_000
    people = wallets(WALLETS)
    async with long_chain(("--prune-history", "4")) as (anvil, token), running_mongod() as store:
        await add_blocks(anvil, token, people, blocks)
        await anvil.mine(8)
        stage = _Stage(anvil, token, people, store)
        turns = []
        for turn in range(TURNS):
            bare = await fetched_and_inserted(anvil, token.address, people, store, f"bare{turn}")
            turns.append((bare, await _filled(stage, f"ours{turn}", blocks * PER_BLOCK)))
        busy, calm = await _latency(stage)
    ratio = statistics.median(ours / bare for bare, ours in turns)
    bare, ours = (statistics.median(figures) for figures in zip(*turns, strict=True))
    size = f"{blocks * PER_BLOCK:,} logs in {blocks:,} blocks"
    return [
        Row(f"backfill: derived records stored, {size}", ours / 1_000, bare / 1_000, ratio, 0.5, "k/s"),
        Row("backfill: the same, per second", ours, math.nan, ours, 5_000, "1/s"),
        Row("backfill: a live event meanwhile, p50", busy, calm, busy / calm, 1.5, at_most=True),
    ]


class _Stage:
    """A service of its own for each figure, on the same chain."""

    def __init__(self, anvil: Anvil, token: Deployed, people: tuple[Any, ...], store: str) -> None:
        self.anvil = anvil
        self.token = token
        self.people = people
        self._store = store

    @asynccontextmanager
    async def service(self, database: str) -> AsyncIterator[Running]:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            chain = Chain(self.anvil, (self.token,))
            text = configuration(
                [chain], self.people, store=self._store, data_dir=Path(folder) / "data", database=database
            )
            async with running_service(text, Path(folder)) as service:
                yield service

    async def order(self, service: Running) -> None:
        body = {"chain": self.anvil.chain_id, "token": self.token.address}
        async with service.http.post(f"{service.url}/api/v1/backfill", json=body) as answer:
            if answer.status != 201:
                raise RuntimeError(await answer.text())


async def _job(service: Running) -> dict[str, Any]:
    return dict((await service.get("/api/v1/backfill"))["items"][0])


async def _filled(stage: _Stage, database: str, records: int) -> float:
    """Records a second, from the order until all of them can be read."""
    async with stage.service(database) as service:
        started = time.perf_counter()
        await stage.order(service)

        async def told() -> bool:
            return bool((await _job(service))["records"] >= records)

        await until(told, every=0.05)
        await service.get(f"/api/v1/balances?limit=1&chain={stage.anvil.chain_id}")  # waits for what was told
        took = time.perf_counter() - started
        job = await _job(service)
        if (job["records"], job["derived"]) != (records, records):
            raise RuntimeError(f"{job['records']} records, {job['derived']} of them derived, instead of {records}")
        return records / took


async def _latency(stage: _Stage) -> tuple[float, float]:
    """Milliseconds from mining to the event, p50: while history is filled, and before."""
    async with stage.service("latency") as service, service.http.ws_connect(f"{service.url}/ws") as ws:
        await ws.send_json({"op": "subscribe", "id": "1", "filters": [{"type": "balance.updated"}]})
        await ws.receive()

        async def once() -> float:
            await stage.token.send("mint", stage.people[0], 1)
            started = time.perf_counter()
            await stage.anvil.mine()
            await _updated(ws)
            took = time.perf_counter() - started
            await asyncio.sleep(PAUSE_SECONDS)
            return took * 1_000

        for _ in range(WARM_ROUNDS):
            await once()
        calm = [await once() for _ in range(ROUNDS)]
        await stage.order(service)
        busy: list[float] = []
        while len(busy) < ROUNDS and not (await _job(service))["progress"] >= 1:
            busy.append(await once())
        return statistics.median(busy), statistics.median(calm)


async def _updated(ws: aiohttp.ClientWebSocketResponse) -> None:
    async for message in ws:
        if orjson.loads(message.data)["type"] == "balance.updated":
            return
    raise RuntimeError("the service hung up")
