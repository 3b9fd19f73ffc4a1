"""A hub on a real server, and real clients of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from indexer.api.hub import Hub, Limits
from indexer.api.problems import as_problems
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import Fact
from tests.hub.fakes import EPOCH, TIME, World


class Client:
    """Sends objects and reads objects; nothing is awaited without a bound."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self.ws = ws

    async def send(self, **frame: Any) -> None:
        await self.ws.send_str(json.dumps(frame))

    async def read(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.ws.receive(), 20)
        assert message.type is WSMsgType.TEXT, message
        frame: dict[str, Any] = orjson.loads(message.data)
        return frame

    async def read_event(self) -> dict[str, Any]:
        """Skips heartbeats."""
        while (frame := await self.read())["type"] == "heartbeat":
            pass
        return frame

    async def close_code(self) -> int | None:
        """Reads to the end."""
        async with asyncio.timeout(5):
            async for _ in self.ws:
                pass
        return self.ws.close_code

    async def subscribe(self, name: str = "1", **more: Any) -> None:
        await self.send(op="subscribe", id=name, **more)
        frame = await self.read_event()
        assert frame == {"type": "subscribed", "id": name}, frame

    async def until_pong(self) -> list[dict[str, Any]]:
        """Everything that was sent before the answer to a ping."""
        await self.send(op="ping")
        frames = []
        while (frame := await self.read())["type"] != "pong":
            if frame["type"] != "heartbeat":
                frames.append(frame)
        return frames


class Stage:
    """One hub over one world."""

    def __init__(self, world: World, hub: Hub, session: ClientSession, url: str, stack: AsyncExitStack) -> None:
        self.world = world
        self.hub = hub
        self.session = session
        self.url = url
        self._stack = stack

    async def client(self) -> Client:
        return Client(await self._stack.enter_async_context(self.session.ws_connect(f"{self.url}/ws", max_msg_size=0)))

    def tell(self, *facts: Fact, project: bool = True) -> Commit:
        """Commit, project and deliver."""
        commit = self.world.commit(*facts)
        if project:
            self.world.project()
        self.hub.deliver(commit)
        return commit


@asynccontextmanager
async def stage(
    world: World | None = None, *, limits: Limits | None = None, **more: Callable[..., Any]
) -> AsyncIterator[Stage]:
    world = world or World()
    hub = Hub(
        log=world,
        balances=world,
        amounts=world.held,
        accounts=world.held,
        freshness=world,
        watching=world,
        status=world,
        epoch=EPOCH,
        clock=lambda: TIME,
        limits=limits,
        **more,
    )
    app = web.Application(middlewares=[as_problems])
    app.router.add_get("/ws", hub.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.SockSite(runner, _listening())
    await site.start()
    await hub.start()
    try:
        host, port = runner.addresses[0][:2]
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(ClientSession())
            yield Stage(world, hub, session, f"http://{host}:{port}", stack)
    finally:
        await hub.close()
        await runner.cleanup()


def _listening() -> socket.socket:
    """Whoever does not read is noticed after hundreds of events: by itself a system keeps megabytes for him."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
    return listening


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.005)
