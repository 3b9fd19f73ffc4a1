"""A small service behind the page, that says exactly what a test tells it to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

import indexer.api

STATIC = Path(indexer.api.__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
ACME = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"
BOLT = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
GOLD = "0x5FbDB2315678afecb367f032d93F642f64180aa3"


class FakeService:
    """Answers the page as docs/api.md says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.positions: dict[str, int] = {}
        self.solvers: list[dict[str, Any]] = [
            {"name": "acme", "address": ACME, "chains": None},
            {"name": "bolt", "address": BOLT, "chains": None},
        ]
        self.tokens: list[dict[str, Any]] = [{"chainId": 31337, "tokenAddress": GOLD}]
        self.subscriptions: list[dict[str, Any]] = []
        self.key: str | None = None
        self.epoch = "aaaa1111"
        self.url = ""
        quiet = {"block": 100, "blockTime": "2026-11-21T01:00:00Z", "lagSeconds": 0, "state": "live", "seq": 1}
        self.streams: dict[str, dict[str, Any]] = {"chain:31337": {**quiet}, "chain:31338": {**quiet}}
        self._asked = asyncio.Condition()
        self._sockets: set[web.WebSocketResponse] = set()

    async def tell(self, *frames: dict[str, Any]) -> None:
        for socket in self._sockets:
            for frame in frames:
                await socket.send_json(frame)

    async def hang_up(self) -> None:
        for socket in list(self._sockets):
            await socket.close(code=1012, message=b"restarting")

    async def subscribed(self, count: int = 1) -> dict[str, Any]:
        """What the page asked for with its subscription number `count`."""
        async with asyncio.timeout(15):
            async with self._asked:
                await self._asked.wait_for(lambda: len(self.subscriptions) >= count)
        return self.subscriptions[count - 1]

    def update(self, seq: int, balance: int, previous: int, **data: Any) -> dict[str, Any]:
        item = self.item(balance, **data)
        return {
            "type": "balance.updated",
            "id": f"{self.epoch}:chain:{item['chainId']}:{seq}",
            "stream": f"chain:{item['chainId']}",
            "seq": seq,
            "time": "2026-11-21T01:02:03.456Z",
            "data": {
                **item,
                "previousBalance": str(previous),
                "newBalance": str(balance),
                "changeAmount": str(balance - previous),
                "cause": "transfer",
                "finality": "latest",
            },
        }

    def item(self, balance: int, **data: Any) -> dict[str, Any]:
        scaled = f"{balance / 1_000_000:f}".rstrip("0").rstrip(".")
        return {
            "chainId": 31337,
            "tokenAddress": GOLD,
            "solverAddress": ACME,
            "balance": str(balance),
            "amount": scaled,
            "decimals": 6,
            "tokenSymbol": "GOLD",
            "tokenName": "Gold",
            "blockNumber": 100,
            "blockHash": "0x" + "ab" * 32,
            "timestamp": "2026-11-21T01:00:00Z",
            "verifiedBlock": 100,
            **data,
        }

    def amount(self, balance: str, **data: Any) -> dict[str, Any]:
        return {
            "exchange": "okx",
            "account": "desk",
            "wallet": "unified",
            "asset": "USDT",
            "balance": balance,
            "free": balance,
            "used": "0",
            "total": balance,
            "debt": None,
            "measure": "wallet",
            "source": "stream",
            "venueTime": None,
            "receivedAt": "2026-11-21T01:00:00Z",
            "timestamp": "2026-11-21T01:00:00Z",
            "seq": 1,
            **data,
        }

    def of_account(self, kind: str, seq: int, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": kind,
            "id": f"{self.epoch}:exchange:okx:desk:{seq}",
            "stream": "exchange:okx:desk",
            "seq": seq,
            "time": "2026-11-21T01:02:03.456Z",
            "data": {"exchange": "okx", "account": "desk", **data},
        }

    def heartbeat(self, **streams: dict[str, Any]) -> dict[str, Any]:
        for name, about in streams.items():
            self.streams[name.replace("_", ":")] |= about
        return {"type": "heartbeat", "time": "2026-11-21T01:02:03Z", "streams": self.streams}

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._page)
        app.router.add_static("/static", STATIC)
        app.router.add_get("/api/v1/status", self._status)
        app.router.add_get("/api/v1/solvers", self._solvers)
        app.router.add_get("/api/v1/tokens", self._tokens)
        app.router.add_get("/ws", self._ws)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        wanted = f"Bearer {self.key}"
        sent = (
            f"Bearer {request.query.get('api_key')}" if request.path == "/ws" else request.headers.get("Authorization")
        )
        if self.key and request.path.startswith(("/api", "/ws")) and sent != wanted:
            return web.json_response({"title": "Unauthorized", "status": 401}, status=401)
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = POLICY
        return response

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _status(self, _: web.Request) -> web.Response:
        names = {"chain:31337": "fast", "chain:31338": "slow", "exchange:okx:desk": "okx/desk"}
        more = {"heads": "ws", "restarts": 0, "lastError": None}
        streams = {stream: {**about, **more, "name": names[stream]} for stream, about in self.streams.items()}
        return web.json_response({"streams": streams})

    async def _solvers(self, _: web.Request) -> web.Response:
        return web.json_response({"items": self.solvers, "next": None})

    async def _tokens(self, _: web.Request) -> web.Response:
        return web.json_response({"items": self.tokens, "next": None})

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and message.json()["op"] == "subscribe":
                    await self._subscribe(socket, message.json())
        finally:
            self._sockets.discard(socket)
        return socket

    async def _subscribe(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await socket.send_json({"type": "subscribed", "id": asked["id"]})
        await socket.send_json(
            {"type": "snapshot", "id": asked["id"], "items": self.items, "positions": self.positions}
        )
        await socket.send_json(self.heartbeat())
        async with self._asked:
            self.subscriptions.append(asked)
            self._asked.notify_all()


@asynccontextmanager
async def fake_service() -> AsyncIterator[FakeService]:
    service = FakeService()
    runner = web.AppRunner(service.application(), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    service.url = f"http://{host}:{port}/"
    try:
        yield service
    finally:
        await service.hang_up()
        await runner.cleanup()
