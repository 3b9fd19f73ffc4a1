"""A websocket played in this process: answers what it is asked, and tells the heads that a test wants told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from indexer.clients.evm.endpoints.counts import Counts
from indexer.clients.evm.hearing.socket import Ours
from indexer.clients.evm.judging.census import Finding
from indexer.clients.evm.judging.rhythm import Expected
from indexer.domain.chain import BlockHash, Head
from indexer.errors import IndexerError, NodeUnreachable
from tests.fixtures.fakenode import header


def head(number: int) -> Head:
    """All of one second, as what is `told`."""
    return Head(number, BlockHash(f"0x{number:064x}"), BlockHash(f"0x{max(0, number - 1):064x}"), 1)


def told(number: int) -> dict[str, Any]:
    found = head(number)
    return header(number, found.hash, found.parent)


class Wire:
    """One open line. A muted one answers, and pings would pass, but it tells no head."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, frame: bytes) -> None:
        call = orjson.loads(frame)
        answers: dict[str, Any] = {
            "eth_chainId": "0x1",
            "eth_getBlockByNumber": told(self._place.height),
            "eth_subscribe": call["params"][:1],
        }
        if call["params"][:1] == ["0x0"]:
            answers["eth_getBlockByNumber"] = self._place.genesis
        if self._place.refuses_logs and call["method"] == "eth_subscribe" and call["params"][0] == "logs":
            self._place.refused += 1
            self.put({"id": call["id"], "error": self._place.refusal})
            return
        self._place.subscribed += call["method"] == "eth_subscribe" and call["params"][0] == "logs"
        result = answers.get(call["method"], True)
        self.put({"id": call["id"], "result": str(result[0]) if isinstance(result, list) else result})

    async def receive(self) -> bytes:
        frame = await self._frames.get()
        if frame is None:
            raise NodeUnreachable("the websocket was closed")
        return frame

    async def close(self) -> None:
        self._place.lines.remove(self)

    def put(self, message: object) -> None:
        self._frames.put_nowait(orjson.dumps(message))

    def tell(self, number: int) -> None:
        self.put({"method": "eth_subscription", "params": {"subscription": "newHeads", "result": told(number)}})

    def cut(self) -> None:
        self._frames.put_nowait(None)


@dataclass
class Place:
    """What is behind one URL."""

    height: int = 100
    is_open: bool = True
    is_muted: bool = False
    refuses_logs: bool = False
    refusal: dict[str, Any] = field(default_factory=lambda: {"code": -32601, "message": "the method does not exist"})
    """In which words."""
    genesis: dict[str, Any] | None = field(default_factory=lambda: told(0))
    """Its first block, where it has not forgotten that."""
    refused: int = 0
    subscribed: int = 0
    """How many log filters were subscribed to."""
    lines: list[Wire] = field(default_factory=list)
    opened: int = 0

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.height += 1
            if not self.is_muted:
                self.repeat()

    def repeat(self) -> None:
        for line in self.lines:
            line.tell(self.height)

    def fall(self) -> None:
        self.is_open = False
        self.break_off()

    def break_off(self) -> None:
        """End what is open; the next attempt succeeds."""
        for line in self.lines:
            line.cut()


def opening(places: dict[str, Place]) -> Callable[[str], Any]:
    async def opened(url: str) -> Wire:
        await asyncio.sleep(0)
        place = places[url]
        place.opened += 1
        if not place.is_open:
            raise NodeUnreachable("cannot open the websocket")
        place.lines.append(Wire(place))
        return place.lines[-1]

    return opened


class Second:
    """The second source: what is asked when the websocket is silent."""

    def __init__(self, height: int = 100) -> None:
        self.height = height
        self.ours = Ours(1, head(0).hash)
        self.counts = Counts()
        self.others: int | None = None
        """How high others are, where there are any."""
        self.asked = 0
        self.surveys: list[bool] = []
        """Each question to all, and whether nothing had come for long."""
        self.answers = asyncio.Event()
        self.answers.set()
        self.error: IndexerError | None = None
        self.refused: str | None = None
        self.is_asked_to_wait = False
        self.followed = 0

    async def newest(self) -> Head:
        self.asked += 1
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        return head(self.height)

    @property
    def outage(self) -> str | None:
        """What is told of it while the question is still open."""
        return self.refused

    @property
    def has_others(self) -> bool:
        return self.others is not None

    async def highest(self, _known: Head | None, _expected: Expected, *, is_still: bool) -> Finding:
        """`newest` is what the preferred one of several says."""
        self.surveys.append(is_still)
        found = await self.newest()
        return Finding(found if self.others is None else max(found, head(self.others), key=lambda one: one.number))
