"""Endpoints that answer by script, and a clock that moves when somebody sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from indexer.clients.evm.asking.answers import quantity
from indexer.clients.evm.asking.calls import Call, Plan, Reply
from indexer.clients.evm.asking.courier import NoAnswer
from indexer.clients.evm.endpoints.counts import Counts
from indexer.clients.evm.endpoints.endpoint import Endpoint
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.endpoints.pace import Pace
from indexer.errors import IndexerError, NodeUnreachable
from tests.fixtures.fakenode import header


def _open() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


class Time:
    """A clock that moves when somebody sleeps, or when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.now + seconds
        while self.now < until:
            await asyncio.sleep(0)
            self.now += 0.05


class LoopTime(Time):
    """The loop's own, for tests that play in virtual time and wait for long: who sleeps does not keep it busy."""

    def clock(self) -> float:
        return now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Wire:
    """Answers a number, or fails as scripted; the last entry of a script stays."""

    number: int
    script: list[IndexerError | None] = field(default_factory=lambda: [None])
    chain_id: int = 1
    genesis: str | None = None
    asked: list[list[str]] = field(default_factory=list)
    head: int = 1_000
    """Its newest block, as probes are told."""
    gate: asyncio.Event = field(default_factory=_open)
    """While it is closed, nobody is answered."""

    async def exchange(self, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]:
        assert timeout_seconds > 0
        self.asked.append([call.method for call in calls])
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.gate.wait()
        except TimeoutError:
            raise NoAnswer("no answer") from None
        fault = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if fault is not None:
            raise fault
        return [
            Reply(result=self._first_block() if call.params[:1] == ["0x0"] else hex(self._answer(call.method)))
            for call in calls
        ]

    def _first_block(self) -> dict[str, Any] | None:
        return None if self.genesis is None else header(0, self.genesis)

    def _answer(self, method: str) -> int:
        return {"eth_chainId": self.chain_id, "eth_blockNumber": self.head}.get(method, self.number)

    async def disconnect(self) -> None: ...


def hanging(number: int = 1) -> Wire:
    wire = Wire(number)
    wire.gate.clear()
    return wire


def now() -> float:
    """Of the loop, which is virtual where a test plays in that time."""
    return asyncio.get_running_loop().time()


QUESTION = Plan([Call("eth_question")], lambda replies: quantity(replies[0].get()))


def pool(time: Time, *wires: Wire, chain_id: int | None = None, patience_seconds: float = 15.0) -> Endpoints:
    counts = Counts()
    return Endpoints(
        [
            Endpoint(name, wire, counts, pace=Pace(time.clock), clock=time.clock, sleep=time.sleep)
            for name, wire in zip("abcdef", wires, strict=False)
        ],
        chain="test",
        counts=counts,
        chain_id=chain_id,
        patience_seconds=patience_seconds,
        clock=time.clock,
        sleep=time.sleep,
        chance=lambda: 1.0,
    )


DOWN = NodeUnreachable("down")
