"""How long a dying endpoint and a silent websocket are noticed, and how soon the preferred endpoint is taken back.

One anvil behind two proxies; the clock starts with the order to mine (or with silence) and stops when the change is at
a client. Bounds are those of the issue, and the figure is the worst of all rounds, as a part of its bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from tests.bench.rows import Row
from tests.bench.stage import Chain, Running, configuration, running_chain, running_service, until, wallets
from tests.fixtures.moody import Moody

HANDLED: Final = 1.0
FOUND: Final = 3.0
BACK: Final = 60.0
BLOCK_SECONDS: Final = 0.4
_REOPENED_SECONDS: Final = 2.5
CHAIN_ID: Final = 31337


@dataclass
class Scene:
    """A service on two ways to one node, and an ear at it."""

    chain: Chain
    first: Moody
    second: Moody
    service: Running
    heard: dict[int, float]

    async def told_after(self) -> float:
        """Seconds from the order to mine to the event at a client."""
        await self.chain.tokens[0].send("mintMany", wallets(1), 5)
        began = time.perf_counter()
        await self.chain.anvil.mine()
        number = int((await self.chain.anvil.block())["number"], 16)
        await until(lambda: _yes(number in self.heard))
        return self.heard[number] - began

    async def stream(self) -> Any:
        return (await self.service.get("/api/v1/status"))["streams"][self.chain.stream]

    async def taken_back(self) -> float:
        began = time.perf_counter()
        while (await self.stream())["endpoint"] != self.first.name:
            await self.told_after()
        return time.perf_counter() - began


async def run(*, quick: bool = False) -> list[Row]:
    rounds = 1 if quick else 5
    rows = []
    async with _scene() as scene:
        for mood in ("hangs", "503", "html", "429", "refuses", "hangs wholly", "stands still"):
            handled, back = [], []
            for _ in range(rounds):
                await scene.taken_back()
                if mood in _WITH_WEBSOCKET:
                    await _listen_at_first(scene)
                await _fall(scene.first, mood)
                handled.append(await scene.told_after())
                await _rise(scene.first, mood)
                back.append(await scene.taken_back())
            rows.append(_row(f"failover: preferred endpoint {_NAMES[mood]}, next head told", handled, HANDLED))
            rows.append(_row("the same, until it is preferred again", back, BACK))
        rows.append(_row("failover: silent websocket found", [await _silence(scene) for _ in range(rounds)], FOUND))
    return rows


_NAMES: Final = {
    "hangs": "hangs",
    "503": "answers 503",
    "html": "answers pages",
    "429": "answers 429",
    "refuses": "refuses, websocket cut",
    "hangs wholly": "hangs, websocket too",
    "stands still": "stands still, websocket too",
}


_WITH_WEBSOCKET: Final = ("hangs wholly", "stands still")


async def _listen_at_first(scene: Scene) -> None:
    """The second websocket is cut, so that the first one is listened to again, and the second beside it."""
    await scene.second.stop()
    await scene.second.start()
    await asyncio.sleep(_REOPENED_SECONDS)
    for _ in range(3):
        await scene.told_after()


async def _fall(way: Moody, mood: Any) -> None:
    match mood:
        case "refuses":
            await way.stop()
        case "hangs wholly":
            way.mood, way.is_silent = "hangs", True
        case "stands still":
            await way.freeze()
        case _:
            way.mood = mood


async def _rise(way: Moody, mood: str) -> None:
    if mood == "refuses":
        await way.start()
    way.mood, way.is_silent, way.frozen_at = "well", False, None


async def _silence(scene: Scene) -> float:
    """Seconds until heads come from another source; afterwards the websocket is believed again."""

    async def by(source: str) -> bool:
        await scene.told_after()
        await asyncio.sleep(BLOCK_SECONDS)
        return bool((await scene.stream())["heads"] == source)

    for _ in range(5):
        await by("ws")
    await until(lambda: by("ws"))
    for way in (scene.first, scene.second):
        way.is_silent = True
    began = time.perf_counter()
    mining = asyncio.create_task(_mine(scene))
    try:
        await until(lambda: _is_polled(scene))
        return time.perf_counter() - began
    finally:
        mining.cancel()
        await asyncio.gather(mining, return_exceptions=True)
        for way in (scene.first, scene.second):
            way.is_silent = False


async def _mine(scene: Scene) -> None:
    while True:
        await scene.chain.anvil.mine()
        await asyncio.sleep(BLOCK_SECONDS)


async def _is_polled(scene: Scene) -> bool:
    return bool((await scene.stream())["heads"] == "poll")


async def _yes(found: bool) -> bool:
    return found


def _row(name: str, seconds: list[float], bound: float) -> Row:
    return Row(name, max(seconds), math.nan, max(seconds) / bound, 1.0, unit="s", at_most=True)


@contextlib.asynccontextmanager
async def _scene() -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        chain = await stack.enter_async_context(running_chain(CHAIN_ID, 1))
        first, second = [
            await stack.enter_async_context(Moody(chain.anvil.http_url, chain.anvil.ws_url)) for _ in range(2)
        ]
        text = configuration([chain], wallets(1), store="memory", data_dir=folder / "data")
        text = text.replace(f'["{chain.anvil.http_url}"]', f'["{first.http_url}", "{second.http_url}"]')
        text = text.replace(f'["{chain.anvil.ws_url}"]', f'["{first.ws_url}", "{second.ws_url}"]')
        service = await stack.enter_async_context(running_service(text, folder))
        heard: dict[int, float] = {}
        ws = await stack.enter_async_context(service.http.ws_connect(service.url + "/ws", max_msg_size=0))
        await ws.send_json({"op": "subscribe", "id": "1"})
        await stack.enter_async_context(_beside(lambda: _listen(ws, heard)))
        yield Scene(chain, first, second, service, heard)


async def _listen(ws: aiohttp.ClientWebSocketResponse, heard: dict[int, float]) -> None:
    async for message in ws:
        now = time.perf_counter()
        frame = orjson.loads(message.data)
        if frame["type"] == "balance.updated":
            heard.setdefault(frame["data"]["blockNumber"], now)


@contextlib.asynccontextmanager
async def _beside(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
