"""From the venue's frame to a client: ours, which stores it first, against two scripts that only parse and pass on."""

from __future__ import annotations

import asyncio
import contextlib
import math
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import orjson
from websockets.asyncio.client import ClientConnection, connect

from indexer.demo.venue import Account
from tests.bench.accounts.stage import configuration
from tests.bench.accounts.venue import EXCHANGE, VenueProcess, venue_process
from tests.bench.rows import Row
from tests.bench.stage import Running, running_mongod, running_service

FRAMES: Final = 300
PAUSE_SECONDS: Final = 0.02
LONGEST_SECONDS: Final = 5.0
TARGET: Final = 1.5
"""Against the script that stores as well. The other one is shown and not judged: a journaled write alone takes longer,
and what nobody stored may not be told."""


async def run(*, quick: bool) -> list[Row]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        venue = await stack.enter_async_context(venue_process(3))
        mongo = await stack.enter_async_context(running_mongod())
        ours, bare, storing = venue.accounts
        text = configuration(venue.url, [ours], store=mongo, data_dir=folder / "data")
        service = await stack.enter_async_context(running_service(text, folder))
        clients = [
            await stack.enter_async_context(_hub(service, ours)),
            await stack.enter_async_context(_script(venue.url, bare)),
            await stack.enter_async_context(_script(venue.url, storing, mongo)),
        ]
        await asyncio.sleep(2)
        return _rows(await _taken(venue, clients, FRAMES // (5 if quick else 1)))


async def _taken(venue: VenueProcess, clients: list[ClientConnection], frames: int) -> list[list[float]]:
    """Milliseconds of each, in turns; the first ten of each warm up."""
    times: list[list[float]] = [[] for _ in clients]
    for number in range(frames + 10):
        for who, client in enumerate(clients):
            answer = asyncio.create_task(_next(client))
            told = await venue.change(who)
            seconds = await answer - told
            if number >= 10:
                times[who].append(seconds * 1000)
            await asyncio.sleep(PAUSE_SECONDS)
    return times


async def _next(client: ClientConnection) -> float:
    """When the next balance came; heartbeats do not count."""
    async with asyncio.timeout(LONGEST_SECONDS):
        while True:
            told = orjson.loads(await client.recv())
            if told["type"] in {"balance.updated", "balance"}:
                return time.monotonic()


def _rows(times: list[list[float]]) -> list[Row]:
    ours, bare, storing = times
    rows = []
    for name, take in (("p50", statistics.median), ("p95", lambda found: statistics.quantiles(found, n=20)[-1])):
        us, nothing, stored = take(ours), take(bare), take(storing)
        against = f"accounts: frame to client, {name}; floor: ccxt"
        rows.append(Row(f"{against} alone", us, nothing, us / nothing, math.nan, at_most=True))
        rows.append(Row(f"{against} and an insert", us, stored, us / stored, TARGET, at_most=True))
    return rows


@contextlib.asynccontextmanager
async def _hub(service: Running, account: Account) -> AsyncIterator[ClientConnection]:
    async with connect(service.url.replace("http", "ws") + "/ws", compression=None) as client:
        wanted = {"type": "balance.updated", "exchange": EXCHANGE, "account": account.name}
        await client.send(orjson.dumps({"op": "subscribe", "id": "1", "filters": [wanted]}).decode())
        await client.recv()
        yield client


@contextlib.asynccontextmanager
async def _script(url: str, account: Account, mongo: str = "") -> AsyncIterator[ClientConnection]:
    command = ("-m", "tests.bench.accounts.floor", url, account.api_key, account.secret, *([mongo] if mongo else []))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as client:
            yield client
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
