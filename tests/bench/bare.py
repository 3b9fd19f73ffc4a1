"""The floor of a backfill: a script that fetches logs in ranges and inserts a document for each; it proves nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import orjson
from bson import Int64
from motor.motor_asyncio import AsyncIOMotorClient

from indexer.demo.anvil import Anvil
from indexer.domain.chain import Address

_TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_SPAN: Final = 400
_BATCH: Final = 500


async def fetched_and_inserted(
    anvil: Anvil, token: Address, people: Sequence[Address], url: str, database: str, first: int = 0
) -> float:
    """Documents a second, from block `first` to the newest."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(url, w="majority", journal=True)
    rows = client[database]["balance_records"]
    key = ("chainId", "tokenAddress", "solverAddress", "blockNumber")
    await rows.create_index([(name, 1) for name in key], unique=True)
    await rows.create_index([("timestamp", -1)])
    await rows.create_index([("blockNumber", -1)])
    topics = {"0x" + wallet[2:].lower().rjust(64, "0"): wallet for wallet in people}
    last = int((await anvil.block())["number"], 16)
    started, count = time.perf_counter(), 0
    async with aiohttp.ClientSession() as http:
        for start in range(first, last + 1, _SPAN):
            logs = await _logs(http, anvil, token, topics, start, min(last, start + _SPAN - 1))
            documents = [_document(log, topics) for log in logs]
            for place in range(0, len(documents), _BATCH):
                await rows.insert_many(documents[place : place + _BATCH], ordered=False)
            count += len(documents)
    took = time.perf_counter() - started
    client.close()
    return count / took


async def _logs(
    http: aiohttp.ClientSession, anvil: Anvil, token: Address, topics: dict[str, Address], first: int, last: int
) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for side in ([_TRANSFER, list(topics)], [_TRANSFER, None, list(topics)]):
        asked = {"fromBlock": hex(first), "toBlock": hex(last), "address": token, "topics": side}
        body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [asked]})
        async with http.post(anvil.http_url, data=body, headers={"content-type": "application/json"}) as answer:
            logs = orjson.loads(await answer.read())["result"]
        found |= {(log["blockNumber"], log["logIndex"]): log for log in logs}
    return list(found.values())


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
