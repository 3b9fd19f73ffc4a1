"""The bare job with none of our code: ccxt's `watch_balance`, and what it parsed sent on over a websocket.

`python -m tests.bench.accounts.floor VENUE_URL API_KEY SECRET [MONGO_URL]` prints its port once it hears, and goes on
until it is ended. With a MongoDB each frame is first one document there, journaled as ours are.
"""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, datetime
from typing import Any

import ccxt.pro
import orjson
import uvloop
from motor.motor_asyncio import AsyncIOMotorClient
from websockets.asyncio.server import ServerConnection, serve

OPENING_SECONDS = 2.0
"""ccxt does not say when a subscription stands; on loopback it takes a tenth of that."""


async def main(url: str, api_key: str, secret: str, mongo_url: str = "") -> None:
    clients: set[ServerConnection] = set()
    exchange = ccxt.pro.binance({"apiKey": api_key, "secret": secret, "number": str})
    exchange.urls["api"] = _redirected(exchange.urls["api"], url)
    exchange.markets = {}  # as ours: frames tell codes
    frames: Any = None
    if mongo_url:
        mongo: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo_url, w="majority", journal=True)
        frames = mongo["floor"]["frames"]
        await frames.insert_one({"time": datetime.now(UTC)})

    async def welcome(client: ServerConnection) -> None:
        clients.add(client)
        await client.wait_closed()
        clients.discard(client)

    async with serve(welcome, "127.0.0.1", 0, compression=None) as server:
        heard = asyncio.create_task(exchange.watch_balance({"type": "spot"}))
        await asyncio.sleep(OPENING_SECONDS)
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - whoever started it waits for the port
        while True:
            balance = await heard
            told = {"free": balance["free"], "used": balance["used"], "total": balance["total"]}
            if frames is not None:
                await frames.insert_one({"time": datetime.now(UTC), **told})
            text = orjson.dumps({"type": "balance", "data": told}).decode()
            for client in clients:
                await client.send(text)
            heard = asyncio.create_task(exchange.watch_balance({"type": "spot"}))


def _redirected(urls: Any, base: str) -> Any:
    if isinstance(urls, dict):
        return {name: _redirected(each, base) for name, each in urls.items()}
    if not isinstance(urls, str):
        return urls
    root = base.replace("http", "ws", 1) if urls.startswith("ws") else base
    return re.sub(r"^(https?|wss?)://[^/]+", root, urls)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
