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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from bson import Int64
from motor.motor_asyncio import AsyncIOMotorClient

from indexer.addresses import checksum
from indexer.app import Indexer
from indexer.config import ChainSettings, ServiceSettings, Settings, SolverSettings, StoreSettings
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.chain import Address
from tests.bench.rows import Row
from tests.fixtures.chain import wallets
from tests.fixtures.mongo import running_mongod

WALLETS: Final = 50
PER_BLOCK: Final = 5
TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
SPAN: Final = 400
BATCH: Final = 500
ROUNDS: Final = 40


async def run(*, quick: bool) -> list[Row]:
    """About two minutes, most of them for making the chain; a tenth of it when quick."""
    blocks = 2_000 if quick else 20_000
    people = wallets(WALLETS)
    async with _chain(blocks, people) as (anvil, token):
        with running_mongod(replica_set="bench") as url:
            floor = await _floor(anvil, token, people, url)
            ours = await _ours(anvil, token, people, url, blocks * PER_BLOCK)
            busy, calm = await _latency(anvil, token, people, url)
    size = f"{blocks * PER_BLOCK:,} logs in {blocks:,} blocks"
    return [
        Row(f"backfill: derived records stored, {size}", ours / 1_000, floor / 1_000, ours / floor, 0.5, "k/s"),
        Row("backfill: the same, per second", ours, math.nan, ours, 5_000, "1/s"),
        Row("backfill: a live event meanwhile, p50", busy, calm, busy / calm, 1.5, at_most=True),
    ]


@asynccontextmanager
async def _chain(blocks: int, people: tuple[Address, ...]) -> AsyncIterator[tuple[Anvil, Deployed]]:
    async with Anvil(args=("--prune-history", "4")) as anvil:
        token = await deploy(anvil, "PlainToken", "Demo Dollar", "DUSD", 6)
        for number in range(blocks):
            start = number * PER_BLOCK % WALLETS
            await token.send("mintMany", people[start : start + PER_BLOCK], 1 + number)
            await anvil.mine()
        await anvil.mine(8)
        yield anvil, token


@asynccontextmanager
async def _service(
    anvil: Anvil, token: Deployed, people: tuple[Address, ...], url: str, database: str
) -> AsyncIterator[Indexer]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            service=ServiceSettings(port=0, data_dir=Path(folder)),
            store=StoreSettings(url=url, database=database),
            chains={
                "local": ChainSettings(
                    name="local",
                    chain_id=anvil.chain_id,
                    rpc_urls=(anvil.http_url,),
                    ws_urls=(anvil.ws_url,),
                    tokens=(token.address,),
                )
            },
            solvers={f"s{n}": SolverSettings(f"s{n}", checksum(wallet)) for n, wallet in enumerate(people)},
        )
        async with Indexer(settings, serve=False) as service:
            await service.ready()
            yield service


async def _ours(anvil: Anvil, token: Deployed, people: tuple[Address, ...], url: str, records: int) -> float:
    """Records a second, from the order until all of them can be read."""
    async with _service(anvil, token, people, url, "ours") as service:
        started = time.perf_counter()
        (job,) = await service.control.backfill(anvil.chain_id, token.address, None, 0, None)
        while not service.control.backfills()[0].records >= records:  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.01)
        await service.positions.caught_up()
        took = time.perf_counter() - started
        done = service.control.backfills()[0]
        if (done.id, done.records, done.derived) != (job.id, records, records):
            raise AssertionError(f"{done.records} records, {done.derived} of them derived, instead of {records}")
        return records / took


async def _latency(anvil: Anvil, token: Deployed, people: tuple[Address, ...], url: str) -> tuple[float, float]:
    """Milliseconds from mining to the event, p50: while history is filled, and before."""
    async with _service(anvil, token, people, url, "latency") as service:
        told = asyncio.Event()
        service.listen(lambda _event: told.set())

        async def once() -> float:
            told.clear()
            await token.send("mint", people[0], 1)
            started = time.perf_counter()
            await anvil.mine()
            await told.wait()
            took = time.perf_counter() - started
            await asyncio.sleep(0.05)
            return took * 1_000

        for _ in range(10):
            await once()
        calm = [await once() for _ in range(ROUNDS)]
        await service.control.backfill(anvil.chain_id, token.address, None, 0, None)
        busy: list[float] = []
        while len(busy) < ROUNDS and not service.control.backfills()[0].progress >= 1:
            busy.append(await once())
        return statistics.median(busy), statistics.median(calm)


async def _floor(anvil: Anvil, token: Deployed, people: tuple[Address, ...], url: str) -> float:
    """Documents a second of a script that fetches the logs in ranges and inserts one document for each."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(url, w="majority", journal=True)
    rows = client["floor"]["balance_records"]
    key = ("chainId", "tokenAddress", "solverAddress", "blockNumber")
    await rows.create_index([(name, 1) for name in key], unique=True)
    await rows.create_index([("timestamp", -1)])
    await rows.create_index([("blockNumber", -1)])
    topics = {"0x" + wallet[2:].lower().rjust(64, "0"): wallet for wallet in people}
    last = int((await anvil.block())["number"], 16)
    started, count = time.perf_counter(), 0
    async with aiohttp.ClientSession() as http:
        for first in range(0, last + 1, SPAN):
            logs: dict[tuple[str, str], dict[str, Any]] = {}
            for side in ([TRANSFER, list(topics)], [TRANSFER, None, list(topics)]):
                span = {"fromBlock": hex(first), "toBlock": hex(min(last, first + SPAN - 1))}
                params = [{**span, "address": token.address, "topics": side}]
                body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": params})
                async with http.post(anvil.http_url, data=body, headers={"content-type": "application/json"}) as answer:
                    found = orjson.loads(await answer.read())["result"]
                logs |= {(log["blockNumber"], log["logIndex"]): log for log in found}
            documents = [_document(log, topics) for log in logs.values()]
            for start in range(0, len(documents), BATCH):
                await rows.insert_many(documents[start : start + BATCH], ordered=False)
            count += len(documents)
    took = time.perf_counter() - started
    client.close()
    return count / took


def _document(log: dict[str, Any], topics: dict[str, Address]) -> dict[str, Any]:
    amount = str(int(log["data"], 16))
    return {
        "chainId": Int64(31337),
        "tokenAddress": log["address"],
        "solverAddress": topics[log["topics"][2]],
        "balance": amount,
        "amount": None,
        "blockNumber": Int64(int(log["blockNumber"], 16)),
        "blockHash": log["blockHash"],
        "timestamp": datetime.fromtimestamp(int(log["blockTimestamp"], 16), UTC),
        "transactionHash": log["transactionHash"],
        "transactionHashes": [log["transactionHash"]],
        "decimals": 6,
        "tokenSymbol": "DUSD",
        "tokenName": "Demo Dollar",
        "changeAmount": amount,
        "cause": "transfer",
        "finality": "finalized",
        "derived": True,
    }
