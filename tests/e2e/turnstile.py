"""Keeps anvil's mining and the service's reads apart.

anvil 1.7.1 looks a block up first and takes the state after it: a read that is pinned to the newest block's hash, and
waits while the next one is mined, is answered with the next one's state (9 in 100 reads, with nothing of ours between).
No number could be held against such a node. Here a block is mined when no read is under way, and the other way round.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp import web

from indexer.demo.anvil import Anvil

_MOVES: Final = frozenset({"anvil_mine", "anvil_reorg"})
_MOST_BYTES: Final = 64 * 1024**2


class CalmAnvil(Anvil):
    """An anvil whose `calm_url` answers between two blocks only."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.calm_port = 0
        self._turn = asyncio.Lock()

    @property
    def calm_url(self) -> str:
        return f"http://127.0.0.1:{self.calm_port}"

    async def rpc(self, method: str, *params: Any) -> Any:
        if method not in _MOVES:
            return await super().rpc(method, *params)
        async with self._turn:
            return await super().rpc(method, *params)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as http:

            async def pass_on(request: web.Request) -> web.Response:
                body = await request.read()
                async with self._turn:
                    try:
                        async with http.post(self.http_url, data=body, headers=_JSON) as answer:
                            return web.Response(body=await answer.read(), status=answer.status, headers=_JSON)
                    except aiohttp.ClientError:
                        return web.Response(status=502)

            app = web.Application(client_max_size=_MOST_BYTES)
            app.router.add_post("/", pass_on)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.calm_port = int(runner.addresses[0][1])
                yield
            finally:
                await runner.cleanup()


_JSON: Final = {"content-type": "application/json"}
