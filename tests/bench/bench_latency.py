"""From a head's arrival to the last of its events at a client in another process, ours against the floor script.

Both run at the same time on one anvil and one mongod, and watch 1,000 wallets each; they take turns of a few blocks,
and whoever's turn it is not is suspended. The clock starts when this process hears the head over a subscription of its
own, and stops when it has the last event of the block.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from indexer.domain.chain import Address
from tests.bench.rows import Row
from tests.bench.stage import Chain, configuration, running_chain, running_mongod, running_service, wallets

WATCHED: Final = 1_000
TOUCHED: Final = {1: 1.5, 50: 1.2, 500: 1.0}
"""Wallets that a block touches, and how many times the floor's p50 we may take."""
P95: Final = 2.0
TURNS: Final = 8
BLOCKS: Final = 10
PAUSES: Final = {1: 0.1, 50: 0.15, 500: 0.4}
"""Seconds between blocks: enough for the projector to be done, as on any real chain."""
CHAIN_ID: Final = 31337


async def run(*, quick: bool = False) -> list[Row]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        mongo = await stack.enter_async_context(running_mongod())
        chain = await stack.enter_async_context(running_chain(CHAIN_ID, 1))
        heads = await stack.enter_async_context(_heads(chain))
        ours = await stack.enter_async_context(_ours(chain, mongo, folder))
        floor = await stack.enter_async_context(_floor(chain, mongo, folder))
        rows: list[Row] = []
        for touched in TOUCHED:
            times = await _race(chain, heads, (ours, floor), touched, 2 if quick else TURNS)
            rows += _rows(touched, times[ours], times[floor])
        return rows


class _Heads:
    """When this process heard each block."""

    def __init__(self) -> None:
        self.at: dict[int, int] = {}

    async def listen(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            now = time.perf_counter_ns()
            found = orjson.loads(message.data)
            if "params" in found:
                self.at[int(found["params"]["result"]["number"], 16)] = now


class _Contestant:
    """A program that tells balances, and our ear at it."""

    def __init__(self, pid: int, watched: Sequence[Address], ws: aiohttp.ClientWebSocketResponse) -> None:
        self.watched = watched
        self._pid = pid
        self._ws = ws
        self._expected = 0
        self._heard = 0
        self._last = 0
        self._complete = asyncio.Event()

    def suspend(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def expect(self, events: int) -> None:
        self._expected, self._heard = events, 0
        self._complete.clear()

    async def heard_all(self) -> int:
        async with asyncio.timeout(30):
            await self._complete.wait()
        return self._last

    async def listen(self) -> None:
        async for message in self._ws:
            if message.type is aiohttp.WSMsgType.TEXT and message.data.startswith('{"type":"balance.updated"'):
                self._last = time.perf_counter_ns()
                self._heard += 1
                if self._heard == self._expected:
                    self._complete.set()


async def _race(
    chain: Chain, heads: _Heads, contestants: Sequence[_Contestant], touched: int, turns: int
) -> dict[_Contestant, list[float]]:
    times: dict[_Contestant, list[float]] = {each: [] for each in contestants}
    for turn in range(turns):
        for each in contestants if turn % 2 == 0 else tuple(reversed(contestants)):
            others = [other for other in contestants if other is not each]
            for other in others:
                other.suspend()
            # The first block after a rest also works off what came meanwhile; it does not count.
            await _block(chain, heads, each, 1)
            for _ in range(BLOCKS):
                await asyncio.sleep(PAUSES[touched])
                times[each].append(await _block(chain, heads, each, touched))
            await asyncio.sleep(PAUSES[touched])
            for other in others:
                other.resume()
    return times


async def _block(chain: Chain, heads: _Heads, each: _Contestant, touched: int) -> float:
    """One block that touches so many wallets of his; milliseconds."""
    each.expect(touched)
    await chain.tokens[0].send("mintMany", each.watched[:touched], 1_000_000, gas=100_000 + 60_000 * touched)
    await chain.anvil.mine()
    last = await each.heard_all()
    number = max(heads.at)
    return (last - heads.at[number]) / 1e6


def _rows(touched: int, ours: list[float], floor: list[float]) -> list[Row]:
    rows = []
    for name, rank, target in (("p50", 49, TOUCHED[touched]), ("p95", 94, P95)):
        us, bare = (statistics.quantiles(times, n=100)[rank] for times in (ours, floor))
        what = f"live: head to client, {touched} of {WATCHED:,} wallets touched, {name}"
        rows.append(Row(what, us, bare, us / bare, target, at_most=True))
    return rows


# --- who takes part --------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _heads(chain: Chain) -> AsyncIterator[_Heads]:
    heads = _Heads()
    async with _socket(chain.anvil.ws_url) as ws:
        await ws.send_json({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
        async with _beside(heads.listen(ws)):
            yield heads


@contextlib.asynccontextmanager
async def _ours(chain: Chain, mongo: str, folder: Path) -> AsyncIterator[_Contestant]:
    watched = wallets(WATCHED)
    text = configuration([chain], watched, store=mongo, data_dir=folder / "data")
    async with running_service(text, folder) as service, _socket(service.url + "/ws") as ws:
        await ws.send_json({"op": "subscribe", "id": "1"})
        contestant = _Contestant(service.pid, watched, ws)
        async with _beside(contestant.listen()), _awake(contestant):
            yield contestant


@contextlib.asynccontextmanager
async def _floor(chain: Chain, mongo: str, folder: Path) -> AsyncIterator[_Contestant]:
    watched = wallets(WATCHED, family=0xF100)
    named = folder / "wallets"
    named.write_text("\n".join(watched))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.floor", chain.anvil.http_url, chain.anvil.ws_url, mongo),
        *(chain.tokens[0].address, str(named)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        async with _socket(f"http://127.0.0.1:{port}") as ws:
            contestant = _Contestant(process.pid, watched, ws)
            async with _beside(contestant.listen()), _awake(contestant):
                yield contestant
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def _socket(url: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as ws:
        yield ws


@contextlib.asynccontextmanager
async def _beside(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _awake(contestant: _Contestant) -> AsyncIterator[None]:
    """Whatever happens, nobody is left suspended: he could not end."""
    try:
        yield
    finally:
        contestant.resume()
