"""The bare job with none of our code, to measure ours against: head, logs by hash, pinned reads, insert, send.

`python -m tests.bench.floor RPC_URL WS_URL MONGO_URL TOKEN WALLETS_FILE` prints its port and goes on until it is ended.
It looks nothing up that it was not told, keeps no checkpoint, survives nothing and knows no reorg.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvloop
from bson import Decimal128, Int64
from motor.motor_asyncio import AsyncIOMotorClient
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


async def main(rpc_url: str, ws_url: str, mongo_url: str, token: str, wallets: list[str]) -> None:
    clients: set[ServerConnection] = set()
    topics = {"0x" + wallet[2:].lower().rjust(64, "0"): wallet for wallet in wallets}
    known: dict[str, int] = {}
    mongo: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo_url, w="majority", journal=True)
    records = mongo["floor"]["balance_records"]
    key = ("chainId", "tokenAddress", "solverAddress", "blockNumber")
    await records.create_index([(name, 1) for name in key], unique=True)
    await records.create_index([("timestamp", -1)])
    await records.create_index([("blockNumber", -1)])

    async def ask(http: aiohttp.ClientSession, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        batch = [{"jsonrpc": "2.0", "id": n, "method": m, "params": p} for n, (m, p) in enumerate(calls)]
        headers = {"content-type": "application/json"}
        async with http.post(rpc_url, data=orjson.dumps(batch), headers=headers) as answer:
            return [item["result"] for item in sorted(orjson.loads(await answer.read()), key=lambda item: item["id"])]

    async def handle(http: aiohttp.ClientSession, head: dict[str, Any]) -> None:
        block, number = head["hash"], int(head["number"], 16)
        sides: list[list[Any]] = [[TRANSFER, list(topics)], [TRANSFER, None, list(topics)]]
        filters = [{"blockHash": block, "address": token, "topics": side} for side in sides]
        logs = {
            log["logIndex"]: log for found in await ask(http, [("eth_getLogs", [f]) for f in filters]) for log in found
        }
        touched = {topics[t]: log["transactionHash"] for log in logs.values() for t in log["topics"][1:] if t in topics}
        if not touched:
            return
        calls = [{"to": token, "data": f"0x70a08231{wallet[2:].lower():0>64}"} for wallet in touched]
        words = await ask(http, [("eth_call", [call, {"blockHash": block}]) for call in calls])
        rows = []
        for (wallet, transaction), word in zip(touched.items(), words, strict=True):
            balance = int(word, 16)
            before, known[wallet] = known.get(wallet), balance
            rows.append(
                {
                    "chainId": Int64(31337), "tokenAddress": token, "solverAddress": wallet, "balance": str(balance),
                    "amount": Decimal128(Decimal(balance).scaleb(-6)), "blockNumber": Int64(number), "blockHash": block,
                    "timestamp": datetime.fromtimestamp(int(head["timestamp"], 16), UTC),
                    "transactionHash": transaction, "transactionHashes": [transaction], "decimals": 6,
                    "tokenSymbol": "TK0", "tokenName": "Token 0",
                    "changeAmount": None if before is None else str(balance - before), "cause": "transfer",
                    "finality": "latest", "derived": False, "seq": Int64(number),
                }
            )  # fmt: skip
        await records.insert_many(rows, ordered=False)
        for row in rows:
            told = {name: value for name, value in row.items() if name not in {"_id", "amount", "timestamp"}}
            text = orjson.dumps({"type": "balance.updated", "data": told}).decode()
            for client in clients:
                await client.send(text)

    async def welcome(client: ServerConnection) -> None:
        clients.add(client)
        await client.wait_closed()
        clients.discard(client)

    async with (
        serve(welcome, "127.0.0.1", 0, compression=None) as server,
        aiohttp.ClientSession() as http,
        connect(ws_url, compression=None) as node,
    ):
        await node.send('{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}')
        await node.recv()
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - whoever started it waits for the port
        async for message in node:
            await handle(http, orjson.loads(message)["params"]["result"])


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], Path(sys.argv[5]).read_text().split()))
