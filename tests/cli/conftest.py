"""A service that answers as docs/api.md says, from a script, and the command line run against it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from indexer.cli import main

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
ACME = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"
KEY = "let-me-in"


def balance(**more: Any) -> dict[str, Any]:
    return {
        "chainId": 1,
        "tokenAddress": USDC,
        "solverAddress": ACME,
        "balance": "7000001",
        "amount": "7.000001",
        "decimals": 6,
        "tokenSymbol": "USDC",
        "tokenName": "USD Coin",
        "blockNumber": 123,
        "blockHash": "0x" + "ab" * 32,
        "timestamp": "2026-11-21T01:02:03Z",
        "verifiedBlock": 125,
    } | more


def event(seq: int, *, epoch: str = "7f3a9c01", **data: Any) -> dict[str, Any]:
    return {
        "type": "balance.updated",
        "id": f"{epoch}:chain:1:{seq}",
        "stream": "chain:1",
        "seq": seq,
        "time": "2026-11-21T01:02:03.456Z",
        "data": balance(previousBalance="5", newBalance="7000001", changeAmount="6999996", cause="transfer") | data,
    }


STATUS = {
    "version": "0.1.0",
    "uptimeSeconds": 3725.5,
    "store": "embedded",
    "subscribers": 2,
    "config": {
        "loadedAt": "2026-11-21T01:02:03Z",
        "problems": ["service.port: is out of range"],
        "hidden": {
            "solvers": [
                {"name": "shade", "address": ACME, "by": "shade", "unwatchedOn": [1, 8453]},
                {"name": "same", "address": ACME, "by": "acme", "unwatchedOn": []},
            ],
            "tokens": [],
            "accounts": [{"exchange": "binance", "name": "desk"}],
        },
    },
    "streams": {
        "chain:1": {
            "name": "ethereum",
            "state": "live",
            "block": 125,
            "blockTime": "2026-11-21T01:02:03Z",
            "lagBlocks": 0,
            "lagSeconds": 0.0,
            "endpoint": "https://node",
            "heads": "ws",
            "seq": 41,
            "projectedSeq": 41,
            "restarts": 0,
            "lastError": None,
            "queueDepth": 0,
            "troubledEndpoints": [],
            "lastResync": {"block": 90, "reason": "a reorg deeper than the window", "at": "2026-11-21T01:00:00.000Z"},
            "lastSearchFailure": None,
            "unreadableTokens": [
                {
                    "tokenAddress": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
                    "balances": 2,
                    "block": 91,
                    "reason": "balanceOf fails: paused",
                    "since": "2026-11-21T01:01:00.000Z",
                }
            ],
        },
    },
}


def account(**more: Any) -> dict[str, Any]:
    return {
        "exchange": "okx",
        "name": "desk",
        "wallets": ["unified", "funding"],
        "sandbox": False,
        "pollSeconds": None,
        "source": "api",
        "state": "live",
        "lastError": None,
        "warnings": [],
    } | more


def amount(**more: Any) -> dict[str, Any]:
    return {
        "exchange": "okx",
        "account": "desk",
        "wallet": "unified",
        "asset": "USDT",
        "balance": "7.000000000000000001",
        "free": "7",
        "used": None,
        "total": "7.000000000000000001",
        "debt": None,
        "measure": "wallet",
        "source": "stream",
        "timestamp": "2026-11-21T01:02:03.456Z",
        "seq": 3,
    } | more


Connection = Callable[[web.WebSocketResponse, dict[str, Any]], Awaitable[None]]


@dataclass
class Service:
    """What it was asked, and what it plays on each websocket connection, the last one from then on."""

    url: str = ""
    status: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(STATUS)))
    balances: list[dict[str, Any]] = field(default_factory=list)
    audited: dict[str, Any] = field(
        default_factory=lambda: {"checked": 7, "differing": [], "unreadable": 0, "skipped": 0}
    )
    audits: list[dict[str, Any]] = field(default_factory=list)
    audit_gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Closed, an audit is answered when what it waits for was asked twice."""
    audit_looks: int = 0
    audit_waits: dict[str, Any] | None = None
    asked: list[str] = field(default_factory=list)
    subscribed: list[dict[str, Any]] = field(default_factory=list)
    connections: list[Connection | Mapping[str, Any]] = field(default_factory=list)
    """What each connection is told once it has subscribed; or the problem with what it wants."""
    accounts: list[dict[str, Any]] = field(default_factory=list)
    login: str | None = None
    """What a proxy before the service wants as `Authorization`."""
    posted: list[Any] = field(default_factory=list)
    wants_key: bool = False

    async def run(self, *argv: str) -> int:
        """The command in a thread of its own, since it brings its own loop."""
        return await asyncio.to_thread(main, [*argv, "--url", self.url])


def _problem(status: int, detail: str, field: str | None = None) -> web.Response:
    body = {"type": "about:blank", "title": "No", "status": status, "detail": detail} | (
        {"field": field} if field else {}
    )
    return web.json_response(body, status=status, content_type="application/problem+json")


async def _backfill(request: web.Request) -> web.Response:
    order = await request.json()
    if order.get("chain") == "nowhere":
        return _problem(422, "no chain 'nowhere' is configured", "chain")
    if "token" in order:
        return _problem(422, "nothing like that is watched on any chain", "token")
    if order.get("toBlock", order["fromBlock"]) < order["fromBlock"]:
        return _problem(422, "`toBlock` is below `fromBlock`", "toBlock")
    return _problem(422, "nothing like that is watched on chain 1")


def _page(items: list[dict[str, Any]], query: Any) -> web.Response:
    """Two items a page at most, whatever the limit allows."""
    start, limit = int(query.get("cursor", 0)), min(int(query["limit"]), 2)
    end = start + limit
    return web.json_response({"items": items[start:end], "next": str(end) if end < len(items) else None})


async def _history(request: web.Request) -> web.Response:
    if request.match_info["token"] == "bad":
        return _problem(400, "not an address", "token")
    if request.match_info["solver"] == USDC:
        return _problem(404, "this balance is not watched, and never was", "solver")
    items = [
        balance(blockNumber=number, changeAmount=None if number == 1 else "2", cause="transfer", finality="safe")
        | {"transactionHash": None, "transactionHashes": [], "derived": False}
        for number in range(5, 0, -1)
    ]
    return _page(items, request.query)


def _add_audits(app: web.Application, state: Service) -> None:
    async def audit(request: web.Request) -> web.Response:
        state.audits.append(await request.json())
        await state.audit_gate.wait()
        return web.json_response(state.audited)

    async def audit_waits(_request: web.Request) -> web.Response:
        state.audit_looks += 1
        if state.audit_looks == 2:
            state.audit_gate.set()
        if state.audit_waits is None:
            return _problem(405, "not here")
        return web.json_response(state.audit_waits)

    app.router.add_post("/api/v1/audit", audit)
    app.router.add_get("/api/v1/audit", audit_waits)


def _no_account(request: web.Request) -> web.Response:
    return _problem(404, "there is no account {exchange}/{name}".format(**request.match_info), "name")


def _add_accounts(app: web.Application, state: Service) -> None:
    async def accounts(request: web.Request) -> web.Response:
        return _page(state.accounts, request.query)

    async def add_account(request: web.Request) -> web.Response:
        state.posted.append(await request.json())
        if state.posted[-1]["credentials"].get("secret") == "wrong":
            return _problem(422, "okx refuses these credentials", "credentials")
        return web.json_response(account(warnings=["the key can trade"]), status=201)

    async def remove_account(request: web.Request) -> web.Response:
        return web.Response(status=204) if request.match_info["name"] == "desk" else _no_account(request)

    async def refresh_account(_request: web.Request) -> web.Response:
        return web.json_response(account())

    async def account_balances(request: web.Request) -> web.Response:
        named = request.match_info["name"]
        if named == "nope":
            return _no_account(request)
        return _page([amount(account=named, asset=asset) for asset in ("BTC", "ETH", "USDT")], request.query)

    app.router.add_get("/api/v1/accounts", accounts)
    app.router.add_post("/api/v1/accounts", add_account)
    app.router.add_delete("/api/v1/accounts/{exchange}/{name}", remove_account)
    app.router.add_post("/api/v1/accounts/{exchange}/{name}/refresh", refresh_account)
    app.router.add_get("/api/v1/accounts/{exchange}/{name}/balances", account_balances)


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    state = Service()

    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        state.asked.append(request.path_qs)
        sent = (request.headers.get("Authorization"), request.headers.get("X-API-Key"))
        if state.wants_key and sent not in ((f"Bearer {KEY}", None), (state.login, KEY)):
            return _problem(401, "Send an API key.")
        response: web.StreamResponse = await handler(request)
        return response

    async def status(_request: web.Request) -> web.Response:
        return web.json_response(state.status)

    async def balances(request: web.Request) -> web.Response:
        if request.query.get("chain") == "nowhere":
            return _problem(404, "there is no chain 'nowhere'", "chain")
        return _page(state.balances, request.query)

    async def ws(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        frame = await socket.receive_json()
        state.subscribed.append(frame)
        play = state.connections.pop(0) if len(state.connections) > 1 else state.connections[0]
        if isinstance(play, Mapping):
            await socket.send_json({"type": "error", "id": frame["id"], "problem": play})
            await socket.receive()
        else:
            await socket.send_json({"type": "subscribed", "id": frame["id"]})
            await play(socket, frame)
        await socket.close()
        return socket

    app = web.Application(middlewares=[guard])
    app.router.add_get("/api/v1/status", status)
    app.router.add_get("/api/v1/balances", balances)
    app.router.add_get("/api/v1/balances/{chain}/{token}/{solver}/history", _history)
    _add_audits(app, state)
    app.router.add_post("/api/v1/backfill", _backfill)
    _add_accounts(app, state)
    app.router.add_get("/ws", ws)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    state.audit_gate.set()
    yield state
    await runner.cleanup()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INDEXER_URL", "INDEXER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
