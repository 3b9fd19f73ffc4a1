"""A websocket client that keeps every frame and waits for those that a test is about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp

Json = dict[str, Any]


class Subscriber:
    """`frames` are all that came, in order; `events` the numbered ones."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.frames: list[Json] = []
        self._socket = socket
        self._arrived = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def subscribe(self, **request: Any) -> None:
        await self._socket.send_str(json.dumps({"op": "subscribe", "id": "1", **request}))
        await self.until(lambda frames: any(frame["type"] in ("subscribed", "error") for frame in frames))
        assert self.frames[0]["type"] == "subscribed", self.frames

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def closed(self) -> int | None:
        """The code with which the service said goodbye, once it did."""
        async with asyncio.timeout(40):
            await self._reading
        return self._socket.close_code

    async def until(self, check: Callable[[list[Json]], Any], seconds: float = 20.0) -> Any:
        """What `check` says of all frames so far, once that is true."""
        try:
            async with asyncio.timeout(seconds):
                while not (found := check(self.frames)):
                    self._arrived.clear()
                    await self._arrived.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s; heard {self.frames[-10:]}") from None

    async def heard(self, *, block: int | None = None, **data: Any) -> Json:
        """The first numbered event whose data agree."""
        wanted = {**data, **({} if block is None else {"blockNumber": block})}

        def found(frames: Iterable[Json]) -> Json | None:
            return next((each for each in _numbered(frames) if _agrees(each["data"], wanted)), None)

        event: Json = await self.until(found)
        return event

    async def caught_up(self, stream: str, seq: int) -> None:
        """Everything up to this number has come."""
        await self.until(lambda frames: any(f["stream"] == stream and f["seq"] >= seq for f in _numbered(frames)))

    @property
    def events(self) -> list[Json]:
        return _numbered(self.frames)

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.frames.append(json.loads(message.data))
                self._arrived.set()


def _numbered(frames: Iterable[Json]) -> list[Json]:
    return [frame for frame in frames if "seq" in frame]


def _agrees(data: Json, wanted: Json) -> bool:
    return all(data.get(key) == value for key, value in wanted.items())
