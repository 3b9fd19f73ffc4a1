"""Reorgs, from the first head of the new branch to its last event: one block beside a bare re-read, and 64 blocks.

The bare re-read knows what to do: balances at the common ancestor, logs and balances of the new block, one document.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from motor.motor_asyncio import AsyncIOMotorClient

from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.chain import Address
from tests.bench.rows import Row
from tests.bench.stage import configuration, running_chain, running_mongod, running_service
from tests.fixtures.chain import wallets

WALLETS: Final = 50
TOUCHED: Final = 10
DEEP: Final = 64
TURNS: Final = 16
ROUNDS: Final = 5
"""Of each in a turn."""
TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
PAUSE_SECONDS: Final = 0.15
"""So that neither has the other's work, or its own of the round before, still to do."""


async def run(*, quick: bool) -> list[Row]:
    turns = 2 if quick else TURNS
    people = wallets(WALLETS)
    async with running_chain(31337, 1) as chain, running_mongod() as store, aiohttp.ClientSession() as http:
        (token,) = chain.tokens
        async with http.ws_connect(chain.anvil.ws_url) as heads:
            await heads.send_json({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
            await heads.receive()
            reorgs = _Reorgs(token, people, heads)
            ours: list[float] = []
            bare: list[float] = []
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                text = configuration([chain], people, store=store, data_dir=Path(folder) / "data")
                async with (
                    running_service(text, Path(folder)) as service,
                    http.ws_connect(f"{service.url}/ws", max_msg_size=0) as ws,
                ):
                    await ws.send_json({"op": "subscribe", "id": "1", "filters": [{"token": token.address}]})
                    await ws.receive()
                    for _ in range(turns):
                        # Suspended, so that neither has the other's work to do beside its own.
                        os.kill(service.pid, signal.SIGSTOP)
                        bare += [await _bare(reorgs, http, store) for _ in range(ROUNDS)]
                        os.kill(service.pid, signal.SIGCONT)
                        await _ours(reorgs, ws, 1)  # what came meanwhile is worked off in this one
                        ours += [await _ours(reorgs, ws, 1) for _ in range(ROUNDS)]
                    deep = [await _ours(reorgs, ws, DEEP) for _ in range(5)]
    one, floor, many = (statistics.median(times) for times in (ours, bare, deep))
    return [
        Row(f"reorg: one block, {TOUCHED} balances, told", one, floor, one / floor, 1.5, at_most=True),
        Row(f"reorg: {DEEP} blocks, told and committed", many, math.nan, many, 1_000, at_most=True),
    ]


class _Reorgs:
    """Blocks, and others in their place, in each of which ten wallets get something."""

    def __init__(self, token: Deployed, people: Sequence[Address], heads: aiohttp.ClientWebSocketResponse) -> None:
        self.token = token
        self.anvil: Anvil = token.anvil
        self.touched = people[:TOUCHED]
        self._heads = heads
        self._amount = 0

    async def extend(self, depth: int) -> dict[str, Any]:
        """The newest of so many blocks."""
        for _ in range(depth):
            await self.token.send("mintMany", self.touched, self._next())
            await self.anvil.mine()
            head = await self._head()
        return head

    async def replace(self, depth: int) -> tuple[dict[str, Any], float]:
        """The newest head of the new branch, and when its first was heard."""
        data = self.token.contract.data("mintMany", self.touched, self._next())
        call = {"from": self.anvil.accounts[0], "to": self.token.address, "data": data, "gas": hex(1_000_000)}
        order = asyncio.create_task(self.anvil.reorg(depth, [(call, depth - 1)]))
        head = await self._head()
        heard = time.perf_counter()
        for _ in range(depth - 1):
            head = await self._head()
        await order
        return head, heard

    def _next(self) -> int:
        self._amount += 1
        return self._amount

    async def _head(self) -> dict[str, Any]:
        async for message in self._heads:
            return dict(orjson.loads(message.data)["params"]["result"])
        raise RuntimeError("the node hung up")


async def _ours(reorgs: _Reorgs, ws: aiohttp.ClientWebSocketResponse, depth: int) -> float:
    """Milliseconds until all ten updates of the new branch's newest block are told."""
    head = await reorgs.extend(depth)
    await _told(ws, head["hash"])
    await asyncio.sleep(PAUSE_SECONDS)
    head, heard = await reorgs.replace(depth)
    took = await _told(ws, head["hash"]) - heard
    await asyncio.sleep(PAUSE_SECONDS)
    return took * 1_000


async def _told(ws: aiohttp.ClientWebSocketResponse, block: str) -> float:
    """Looked for as text: what a client makes of it afterwards is not what we take to tell it."""
    count, updated, here = 0, '"type":"balance.updated"', f'"blockHash":"{block}"'
    async for message in ws:
        count += updated in message.data and here in message.data
        if count == TOUCHED:
            return time.perf_counter()
    raise RuntimeError("the service hung up")


async def _bare(reorgs: _Reorgs, http: aiohttp.ClientSession, store: str) -> float:
    """Milliseconds of reading what a one-block reorg changes, and writing it down."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(store, w="majority", journal=True)
    await client["bare"]["commits"].insert_one({"warm": True})
    await reorgs.extend(1)
    await asyncio.sleep(PAUSE_SECONDS)
    head, heard = await reorgs.replace(1)
    asked = {"blockHash": head["hash"], "address": reorgs.token.address, "topics": [TRANSFER]}
    logs, *before = await _batch(http, reorgs.anvil, [("eth_getLogs", [asked]), *_balances(reorgs, head["parentHash"])])
    after = await _batch(http, reorgs.anvil, _balances(reorgs, head["hash"]))
    rows = [{"wallet": who, "was": a, "is": b} for who, a, b in zip(reorgs.touched, before, after, strict=True)]
    await client["bare"]["commits"].insert_one({"rows": rows, "logs": len(logs)})
    took = time.perf_counter() - heard
    client.close()
    return took * 1_000


def _balances(reorgs: _Reorgs, block: str) -> list[tuple[str, list[Any]]]:
    return [
        ("eth_call", [{"to": reorgs.token.address, "data": f"0x70a08231{who[2:].lower():0>64}"}, {"blockHash": block}])
        for who in reorgs.touched
    ]


async def _batch(http: aiohttp.ClientSession, anvil: Anvil, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
    batch = [{"jsonrpc": "2.0", "id": n, "method": m, "params": p} for n, (m, p) in enumerate(calls)]
    headers = {"content-type": "application/json"}
    async with http.post(anvil.http_url, data=orjson.dumps(batch), headers=headers) as answer:
        return [each["result"] for each in sorted(orjson.loads(await answer.read()), key=lambda each: each["id"])]
