"""Solvers that are added while it runs: how soon each has its first balances, whatever else is watched."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from bson import Int64
from motor.motor_asyncio import AsyncIOMotorClient

from indexer.domain.chain import Address
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

TOKENS: Final = 4
FEW: Final = 10
MANY: Final = 1_000
ADDED: Final = 200
WITHIN_MS: Final = 1_000.0
"""The contract: a new solver has its first balance within a second."""
GROWTH: Final = 1.5
BARE: Final = 2.0
_SELECTOR: Final = "0x70a08231"


async def run(*, quick: bool = False) -> list[Row]:
    added = ADDED // 4 if quick else ADDED
    async with contextlib.AsyncExitStack() as stack:
        mongo = await stack.enter_async_context(running_mongod())
        chain = await stack.enter_async_context(running_chain(31337, TOKENS))
        few = await _posted(chain, mongo, FEW, added)
        many = await _posted(chain, mongo, MANY, added)
        one_by_one = await _bare(chain, mongo, wallets(added, 0xF100), at_once=1)
        reloaded = await _reloaded(chain, mongo, MANY)
        at_once = await _bare(chain, mongo, wallets(MANY, 0xF200), at_once=100)
    last, balances, nan = max(many.first), (TOKENS + 1) * MANY, float("nan")
    growth = statistics.median(many.answered) / statistics.median(few.answered)
    return [
        _most(f"adding: POST of a solver, {MANY:,} watched, against {FEW}", *_medians(many, few), growth, GROWTH),
        _most(
            f"adding: {added} POSTed onto {MANY:,}, the last first balance after its 201", last, nan, last, WITHIN_MS
        ),
        _most(
            "adding: the same until all are told, against bare", many.whole, one_by_one, many.whole / one_by_one, BARE
        ),
        _most(
            f"adding: a reload with {MANY:,} more, {balances:,} balances told",
            reloaded,
            at_once,
            reloaded / at_once,
            BARE,
        ),
    ]


def _most(name: str, ours: float, floor: float, ratio: float, target: float) -> Row:
    return Row(name, ours, floor, ratio, target, at_most=True)


@dataclass(slots=True)
class _Posted:
    """Milliseconds: each answer; each solver's last first balance after its answer; all of it."""

    answered: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    whole: float = 0.0


def _medians(many: _Posted, few: _Posted) -> tuple[float, float]:
    return statistics.median(many.answered), statistics.median(few.answered)


@dataclass(slots=True)
class _Ear:
    """When each solver's balances were told first."""

    told: dict[str, list[float]] = field(default_factory=dict)

    async def listen(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            now, event = time.perf_counter(), orjson.loads(message.data)
            if event["type"] == "balance.updated":
                self.told.setdefault(event["data"]["solverAddress"], []).append(now)

    async def heard(self, solvers: Sequence[Address]) -> None:
        async def is_all() -> bool:
            return all(len(self.told.get(solver, ())) > TOKENS for solver in solvers)

        await until(is_all)


@contextlib.asynccontextmanager
async def _listening(chain: Chain, mongo: str, watched: int, folder: Path) -> AsyncIterator[tuple[Running, _Ear]]:
    text = configuration([chain], wallets(watched), store=mongo, data_dir=folder, database=f"adding{time.time_ns()}")
    async with running_service(text, folder) as service, service.http.ws_connect(service.url + "/ws") as ws:
        await ws.send_json({"op": "subscribe", "id": "1", "filters": [{"type": "balance.updated"}]})
        await ws.receive()
        ear = _Ear()
        listening = asyncio.create_task(ear.listen(ws))
        try:
            yield service, ear
        finally:
            listening.cancel()


async def _posted(chain: Chain, mongo: str, watched: int, added: int) -> _Posted:
    """One after the other, as fast as they are answered."""
    fresh, found = wallets(added, 0xADD), _Posted()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with _listening(chain, mongo, watched, Path(folder)) as (service, ear):
            ends: dict[Address, float] = {}
            started = time.perf_counter()
            for number, solver in enumerate(fresh):
                asked = time.perf_counter()
                body = {"name": f"n{number}", "address": solver}
                async with service.http.post(service.url + "/api/v1/solvers", json=body) as answer:
                    answer.raise_for_status()
                ends[solver] = time.perf_counter()
                found.answered.append((ends[solver] - asked) * 1000)
            await ear.heard(fresh)
            last = {solver: max(times) for solver, times in ear.told.items()}
            found.whole = (max(last.values()) - started) * 1000
            found.first = [(last[solver] - end) * 1000 for solver, end in ends.items()]
    return found


async def _reloaded(chain: Chain, mongo: str, added: int) -> float:
    """Milliseconds from a file with so many solvers more until all of their balances are told."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        async with _listening(chain, mongo, FEW, folder) as (service, ear):
            text = (folder / "chains.toml").read_text()
            fresh = wallets(added, 0x4E10)
            more = "\n".join(f'[solvers.n{number}]\naddress = "{solver}"\n' for number, solver in enumerate(fresh))
            started = time.perf_counter()
            (folder / "chains.toml").write_text(text + more)
            async with service.http.post(service.url + "/api/v1/reload") as answer:
                answer.raise_for_status()
            await ear.heard(fresh)
            return (max(max(times) for times in ear.told.values()) - started) * 1000


async def _bare(chain: Chain, mongo: str, fresh: Sequence[Address], at_once: int) -> float:
    """Milliseconds that a bare script takes: so many wallets kept, read in one batch, and their balances kept."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo, w="majority", journal=True)
    database = client[f"bare{time.time_ns()}"]
    await database["balances"].create_index([("solver", 1), ("token", 1), ("block", 1)], unique=True)
    async with aiohttp.ClientSession() as http:
        started = time.perf_counter()
        for at in range(0, len(fresh), at_once):
            part = fresh[at : at + at_once]
            await database["solvers"].insert_many([{"_id": solver} for solver in part])
            (block,) = await _asked(http, chain, [("eth_getBlockByNumber", ["latest", False])])
            calls = [call for solver in part for call in _reads(chain, solver, block["hash"])]
            keys = [(solver, token) for solver in part for token in ("native", *(t.address for t in chain.tokens))]
            words = await _asked(http, chain, calls)
            number = Int64(int(block["number"], 16))
            rows = [
                {"solver": solver, "token": token, "block": number, "balance": str(int(word, 16))}
                for (solver, token), word in zip(keys, words, strict=True)
            ]
            await database["balances"].insert_many(rows, ordered=False)
        took = (time.perf_counter() - started) * 1000
    client.close()
    return took


def _reads(chain: Chain, solver: Address, block: str) -> list[tuple[str, list[Any]]]:
    at = {"blockHash": block}
    data = f"{_SELECTOR}{solver[2:].lower():0>64}"
    tokens = [("eth_call", [{"to": token.address, "data": data}, at]) for token in chain.tokens]
    return [("eth_getBalance", [solver, at]), *tokens]


async def _asked(http: aiohttp.ClientSession, chain: Chain, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
    batch = [{"jsonrpc": "2.0", "id": n, "method": m, "params": p} for n, (m, p) in enumerate(calls)]
    posting = http.post(chain.anvil.http_url, data=orjson.dumps(batch), headers={"content-type": "application/json"})
    async with posting as answer:
        return [item["result"] for item in sorted(orjson.loads(await answer.read()), key=lambda item: item["id"])]
