"""A block with 5,000 Transfer logs for us: told in order, before it is projected, and without stalling other chains."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import orjson

from indexer.domain.chain import Address
from tests.bench.rows import Row
from tests.bench.stage import Chain, Running, configuration, running_chain, running_mongod, running_service, wallets

WALLETS: Final = 1_000
TOKENS: Final = 5
LOGS: Final = WALLETS * TOKENS
BEAT_SECONDS: Final = 0.1
BEATS: Final = 20
"""Blocks of the other chain while nothing else happens, to compare with."""
BURSTS: Final = 5
STALL_MS: Final = 250.0
"""What another chain's event may take longer meanwhile: the block time of the fastest chains."""


async def run(*, quick: bool = False) -> list[Row]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        mongo = await stack.enter_async_context(running_mongod())
        busy = await stack.enter_async_context(running_chain(31337, TOKENS))
        other = await stack.enter_async_context(running_chain(31338, 1))
        watched = wallets(WALLETS)
        text = configuration([busy, other], watched, store=mongo, data_dir=folder / "data")
        service = await stack.enter_async_context(running_service(text, folder))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        ws = await stack.enter_async_context(http.ws_connect(service.url + "/ws", max_msg_size=0))
        await ws.send_json({"op": "subscribe", "id": "1"})
        ear = _Ear(busy.stream, other.stream)
        listening = asyncio.create_task(ear.listen(ws))
        try:
            beating = asyncio.create_task(_beat(other, watched[0], ear))
            quiet = await _quiet(ear)
            bursts = [await _burst(busy, watched, service, ear) for _ in range(2 if quick else BURSTS)]
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        finally:
            listening.cancel()
    usual = statistics.median(quiet)
    told, projected = (statistics.median(times) for times in zip(*[(b.told, b.projected) for b in bursts], strict=True))
    worst = statistics.median(max(burst.meanwhile) for burst in bursts)
    return [
        _bounded(f"burst: a block with {LOGS:,} logs told, against projected", told, projected, told / projected, 1.0),
        _bounded("burst: events out of order or missing", ear.disorder, float("nan"), ear.disorder, 0.0, unit=""),
        _bounded("burst: another chain's slowest event meanwhile, minus usual", worst, usual, worst - usual, STALL_MS),
    ]


def _bounded(name: str, ours: float, floor: float, ratio: float, target: float, unit: str = "ms") -> Row:
    return Row(name, ours, floor, ratio, target, unit=unit, at_most=True)


@dataclass(slots=True)
class _Burst:
    """Milliseconds from when the block was mined; `meanwhile` those of the other chain's events."""

    told: float
    projected: float
    meanwhile: list[float]


@dataclass(slots=True)
class _Ear:
    """Hears both chains."""

    busy: str
    other: str
    count: int = 0
    last: float = 0.0
    seq: dict[str, int] = field(default_factory=dict)
    disorder: int = 0
    sent: dict[int, float] = field(default_factory=dict)
    """When each block of the other chain was announced to be mined, by its number."""
    latencies: list[float] = field(default_factory=list)

    async def listen(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            now = time.perf_counter()
            event = orjson.loads(message.data)
            if "seq" not in event:
                continue  # an answer, or a heartbeat
            stream, seq = event["stream"], event["seq"]
            self.disorder += seq != self.seq.get(stream, seq - 1) + 1
            self.seq[stream] = seq
            if event["type"] != "balance.updated":
                continue  # such as that a block is final, once the other chain is long enough
            if stream == self.busy:
                self.count, self.last = self.count + 1, now
            elif event["data"]["blockNumber"] in self.sent:
                self.latencies.append((now - self.sent[event["data"]["blockNumber"]]) * 1000)


async def _beat(chain: Chain, wallet: Address, ear: _Ear) -> None:
    """A block with one transfer, again and again; timed from when its mining was ordered."""
    first = int((await chain.anvil.block())["number"], 16) + 1
    for number in itertools.count(first):
        await chain.tokens[0].send("mint", wallet, 5)
        ear.sent[number] = time.perf_counter()
        await chain.anvil.mine()
        await asyncio.sleep(BEAT_SECONDS)


async def _quiet(ear: _Ear) -> list[float]:
    while len(ear.latencies) < BEATS:  # noqa: ASYNC110 - the beat itself is what is waited for
        await asyncio.sleep(BEAT_SECONDS)
    return list(ear.latencies)


async def _burst(chain: Chain, watched: list[Address], service: Running, ear: _Ear) -> _Burst:
    for token in chain.tokens:
        await token.send("mintMany", watched, 7, gas=80_000_000)
    await asyncio.sleep(0.5)
    goal, before = ear.count + LOGS, len(ear.latencies)
    await chain.anvil.mine()
    mined = time.perf_counter()
    projected_at = 0.0
    async with asyncio.timeout(60):
        while ear.count < goal or not projected_at:
            await asyncio.sleep(0.005)
            status = (await service.get("/api/v1/status"))["streams"][chain.stream]
            if ear.count >= goal and status["projectedSeq"] >= ear.seq[chain.stream]:
                projected_at = projected_at or time.perf_counter()
    await asyncio.sleep(3 * BEAT_SECONDS)
    told = (ear.last - mined) * 1000
    return _Burst(told, (projected_at - mined) * 1000, ear.latencies[before:])
