"""How late the service's own loop is while 200 accounts begin and 3,000 markets load beside it."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.bench.accounts.following import ACCOUNTS, FUTURES, MARKETS
from tests.bench.accounts.stage import configuration
from tests.bench.accounts.venue import venue_process
from tests.bench.rows import Row
from tests.bench.stage import LONGEST, running_mongod

TICK_SECONDS: Final = 0.005
POSITIONS_SECONDS: Final = 3.0
"""After everything is ready: the lists of markets come with the first positions."""


async def run(*, quick: bool) -> list[Row]:
    accounts = ACCOUNTS // (10 if quick else 1)
    async with venue_process(accounts, markets=MARKETS) as venue, running_mongod() as mongo:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            file = Path(name) / "chains.toml"
            text = configuration(venue.url, venue.accounts, store=mongo, data_dir=Path(name) / "data", futures=FUTURES)
            file.write_text(text, encoding="utf-8")
            lags = sorted(await _of_a_process(file))
    late = lags[int(len(lags) * 0.99) - 1] * 1000
    what = f"accounts: loop lag, {accounts} begin and {MARKETS:,} markets load, p99"
    return [Row(what, late, float("nan"), late, 50, at_most=True)]


async def _of_a_process(file: Path) -> list[float]:
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_main, args=(theirs, file))
    process.start()
    theirs.close()
    try:
        found: list[float] = await asyncio.to_thread(ours.recv)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)
    return found


def _main(told: Any, file: Path) -> None:
    import uvloop  # noqa: PLC0415 - in the process that uses it

    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):  # its log, which is written
        uvloop.run(_follow(told, file))


async def _follow(told: Any, file: Path) -> None:
    """What `indexer run` does, and a tick beside it; what is imported is there before."""
    from indexer import Indexer, load, log  # noqa: PLC0415 - in the process that uses it
    from indexer.app.garbage import spare_what_stays  # noqa: PLC0415
    from indexer.clients.exchange.dialects.table import every_dialect  # noqa: PLC0415

    every_dialect()
    settings = load(file, os.environ)
    log.configure("json", secrets=settings.secrets())
    lags: list[float] = []
    ticking = asyncio.create_task(_tick(lags))
    async with Indexer(settings) as indexer:
        spare_what_stays()
        await asyncio.wait_for(indexer.ready(), LONGEST)
        await asyncio.sleep(POSITIONS_SECONDS)
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        told.send(lags)
        await asyncio.sleep(LONGEST)


async def _tick(lags: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(TICK_SECONDS)
        lags.append(time.perf_counter() - before - TICK_SECONDS)
