"""Log subscriptions of one websocket, one for each part of the filter."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from indexer.clients.evm.hearing.line import Line
from indexer.clients.evm.hearing.socket import NodeSocket
from indexer.errors import IndexerError

PARTS = [{"address": "one"}, {"address": "two"}]


class Node:
    """Keeps those subscriptions that it takes."""

    def __init__(self) -> None:
        self.taken: dict[str, Mapping[str, Any]] = {}
        self.refuses = ""
        self._frames = asyncio.Queue[bytes]()

    async def send(self, frame: bytes) -> None:
        asked = orjson.loads(frame)
        answer: dict[str, Any] = {"id": asked["id"], "result": hex(asked["id"])}
        if asked["method"] == "eth_unsubscribe":
            del self.taken[asked["params"][0]]
        elif asked["params"][1]["address"] == self.refuses:
            answer = {"id": asked["id"], "error": {"code": -32000, "message": "filter too large"}}
        else:
            self.taken[answer["result"]] = asked["params"][1]
        self._frames.put_nowait(orjson.dumps(answer))

    async def receive(self) -> bytes:
        return await self._frames.get()

    async def close(self) -> None: ...


async def test_where_one_part_is_refused_the_others_end_and_the_former_ones_stay() -> None:
    node = Node()

    async def opened(_: str) -> Line:
        return node

    async with NodeSocket("ws://one", on_head=print, on_log=print, opened=opened) as socket:
        reading = asyncio.create_task(socket.read())
        await socket.subscribe_logs(PARTS)
        former = {*node.taken}
        node.refuses = "two"
        for _ in range(3):
            with pytest.raises(IndexerError):
                await socket.subscribe_logs(PARTS)
            assert {*node.taken} == {*socket._sinks} == former
        node.refuses = ""
        await socket.subscribe_logs(PARTS)
        assert len(node.taken) == len(PARTS)
        assert not former & {*node.taken}
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
