"""200 accounts of one venue in one service: its memory, how soon all are ready, and what it takes in quiet."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.bench.accounts.stage import configuration, cpu_seconds, importing
from tests.bench.accounts.venue import VenueProcess, venue_process
from tests.bench.rows import Row
from tests.bench.stage import Running, running_mongod, running_service, until

ACCOUNTS: Final = 200
MARKETS: Final = 3000
FUTURES: Final = 1
"""So many of them follow futures as well, whose positions need the lists of markets."""

IDLE_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 5.0


async def run(*, quick: bool) -> list[Row]:
    accounts = ACCOUNTS // (10 if quick else 1)
    imports = await importing(1 if quick else 3)
    async with venue_process(accounts, markets=MARKETS) as venue, running_mongod() as mongo:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            text = configuration(venue.url, venue.accounts, store=mongo, data_dir=folder / "data", futures=FUTURES)
            async with running_service(text, folder) as service:
                ready = time.perf_counter() - service.started
                await until(lambda: _all_talk(service))
                return [*_started(accounts, imports, ready), *await _idle(venue, service, quick=quick)]


def _started(accounts: int, imports: float, ready: float) -> list[Row]:
    seconds = ready - imports
    return [
        Row(f"accounts: {accounts} followed, ready beyond imports", seconds, imports, seconds, 15, "s", at_most=True)
    ]


async def _idle(venue: VenueProcess, service: Running, *, quick: bool) -> list[Row]:
    await asyncio.sleep(SETTLE_SECONDS)
    used, began = cpu_seconds(service.pid), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS / (3 if quick else 1))
    percent = (cpu_seconds(service.pid) - used) / (time.monotonic() - began) * 100
    memory, books = service.megabytes(), await venue.books()
    if books.refused:
        raise RuntimeError(f"the venue refused {books.refused} requests")
    nothing = float("nan")
    return [
        Row("the same, memory of the service", memory, nothing, memory, 350, "MB", at_most=True),
        Row("the same, quiet: CPU of a core", percent, nothing, percent, 3, "%", at_most=True),
        Row("the same, most of any budget", books.most_weight, nothing, books.most_weight, 100, "%", at_most=True),
    ]


async def _all_talk(service: Running) -> bool:
    """Every account's streams are open."""
    streams = (await service.get("/api/v1/status"))["streams"].values()
    return all(one["state"] == "live" and one["heads"] == "ws" for one in streams)
