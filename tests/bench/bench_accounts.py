"""What exchange accounts cost before they talk: 3,000 markets loaded beside the loop, and instances that share."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import time
from pathlib import Path
from typing import Any, Final

from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pool import Venues
from indexer.demo.venue import Venue
from tests.bench.rows import Row

INSTANCES: Final = 800
"""200 accounts of four: one that asks, and one for each of three streams."""

_TICK: Final = 0.005


async def run(*, quick: bool) -> list[Row]:
    spawning = multiprocessing.get_context("spawn")
    told = spawning.Queue()
    process = spawning.Process(target=_serve, args=(told,))
    process.start()
    try:
        return await _measure(await asyncio.to_thread(told.get, timeout=60), INSTANCES // (10 if quick else 1))
    finally:
        process.terminate()
        process.join()


async def _measure(url: str, instances: int) -> list[Row]:
    venues, dialect = Venues(), DIALECTS["binance"]
    first = venues.exchange(dialect, {"apiKey": "a", "secret": "b"}, base_url=url)
    lags: list[float] = []
    ticking = asyncio.create_task(_tick(lags))
    await venues.with_markets(first, dialect, url)
    ticking.cancel()
    lag = sorted(lags)[int(len(lags) * 0.99) - 1] * 1000
    began = time.perf_counter()
    made = [venues.exchange(dialect, {"apiKey": str(one), "secret": "b"}, base_url=url) for one in range(instances)]
    for one in made:
        one.set_markets_from_exchange(first)
    seconds, memory = time.perf_counter() - began, _megabytes()
    await venues.close()
    return [
        Row("accounts: loop lag while 3,000 markets load, p99", lag, math.nan, lag, 50, at_most=True),
        Row(f"accounts: {instances} ccxt instances made", seconds, math.nan, seconds, 15, "s", at_most=True),
        Row("the same, memory of the process", memory, math.nan, memory, 350, "MB", at_most=True),
    ]


def _serve(told: Any) -> None:
    async def serve() -> None:
        async with Venue("binance", markets=3000) as venue:
            told.put(venue.url("binance"))
            await asyncio.Event().wait()

    asyncio.run(serve())


async def _tick(lags: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(_TICK)
        lags.append(time.perf_counter() - before - _TICK)


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6
