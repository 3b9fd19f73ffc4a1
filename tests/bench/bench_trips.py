"""Round trips to the node per block, counted by a proxy between it and the service."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

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

BLOCKS: Final = 10
STILL: Final = 1.0
MOVED: Final = 2.0
CHAIN_ID: Final = 31337


async def run(*, quick: bool = False) -> list[Row]:
    rows: list[Row] = []
    async with running_mongod() as mongo:
        for watched in (10, 1_000):
            for tokens in (1, 20):
                if quick and watched == 10:
                    continue
                rows += await _count(mongo, watched, tokens)
    return rows


class _Proxy:
    """Hands on every request as it is, and counts."""

    def __init__(self, target: str, http: aiohttp.ClientSession) -> None:
        self.trips = 0
        self._target = target
        self._http = http

    async def handle(self, request: web.Request) -> web.Response:
        self.trips += 1
        body = await request.read()
        async with self._http.post(self._target, data=body, headers={"content-type": "application/json"}) as answer:
            return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")


async def _count(mongo: str, watched: int, tokens: int) -> list[Row]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        chain = await stack.enter_async_context(running_chain(CHAIN_ID, tokens))
        proxy, url = await stack.enter_async_context(_proxy(chain.anvil.http_url))
        text = configuration(
            [replace(chain, rpc_url=url)],
            wallets(watched),
            store=mongo,
            data_dir=folder / "data",
            database=f"trips_{watched}_{tokens}",
        )
        service = await stack.enter_async_context(running_service(text, folder))
        still = [await _block(chain, service, proxy, ()) for _ in range(BLOCKS)]
        moved = [await _block(chain, service, proxy, wallets(watched)[:10]) for _ in range(BLOCKS)]
    what = f"{watched:,} wallets, {tokens} token{'s' if tokens > 1 else ''}"
    return [
        _row(f"round trips: {what}, nothing moved", still, STILL),
        _row(f"round trips: {what}, moved", moved, MOVED),
    ]


async def _block(chain: Chain, service: Running, proxy: _Proxy, touched: Sequence[Address]) -> int:
    """One block, in which each of these wallets gets something of each token."""
    if touched:
        for token in chain.tokens:
            await token.send("mintMany", touched, 5)
    before = proxy.trips
    await chain.anvil.mine()
    number = int((await chain.anvil.block())["number"], 16)
    await until(lambda: service.reached(chain.stream, number))
    return proxy.trips - before


def _row(name: str, trips: list[int], most: float) -> Row:
    """Ours is the mean, and the target holds for the worst block."""
    return Row(name, sum(trips) / len(trips), float("nan"), float(max(trips)), most, unit="trips", at_most=True)


@contextlib.asynccontextmanager
async def _proxy(target: str) -> AsyncIterator[tuple[_Proxy, str]]:
    async with aiohttp.ClientSession() as http:
        proxy = _Proxy(target, http)
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/", proxy.handle)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield proxy, f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
