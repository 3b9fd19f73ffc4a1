"""Asks a node, and says so when an answer takes long; the question goes on meanwhile.

A question is not cut short: a slow endpoint would never get to answer a large one. What is said meanwhile is said
while whoever asked still waits, and is over when the answer is handed on: so there is one writer at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

from actors.chains.nodes import Node
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockHash, ChainIdentity, Head, Holding, KnownBlock
from indexer.domain.following.finality import Tags
from indexer.domain.following.views import BlockView, Parting, Readings, Replacement
from indexer.domain.health.status import EndpointTrouble

T = TypeVar("T")

Overdue = Callable[[], Awaitable[None]]


class Asking:
    """A node like any other; `overdue` is awaited when an answer takes longer than `patience` seconds."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._patience: Callable[[], float] | None = None
        self._overdue: Overdue | None = None
        self._saying: asyncio.Task[None] | None = None

    def watch(self, patience: Callable[[], float], overdue: Overdue) -> None:
        """From now on; without this, nothing is said."""
        self._patience, self._overdue = patience, overdue

    @property
    def node(self) -> Node:
        """For questions that nobody waits for yet; whoever does in the end, does so with `answer`."""
        return self._node

    @property
    def endpoint(self) -> str:
        return self._node.endpoint

    @property
    def outage(self) -> str | None:
        return self._node.outage

    @property
    def troubles(self) -> tuple[EndpointTrouble, ...]:
        return self._node.troubles

    async def identity(self) -> ChainIdentity:
        return await self.answer(self._node.identity())

    async def identities(self) -> Mapping[str, ChainIdentity]:
        return await self.answer(self._node.identities())

    def expect(self, genesis: BlockHash) -> None:
        self._node.expect(genesis)

    async def newest(self) -> Head:
        return await self.answer(self._node.newest())

    async def headers(self, first: int, last: int) -> tuple[Head, ...]:
        return await self.answer(self._node.headers(first, last))

    async def missed(self, first: int, last: int, watch: Watch) -> tuple[Head, ...]:
        return await self.answer(self._node.missed(first, last, watch))

    async def look(self, heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]:
        return await self.answer(self._node.look(heads, watch, natives=natives))

    async def replacement(
        self, ancestor: Head, head: Head, watch: Watch, moved: Collection[Holding], *, natives: bool = True
    ) -> Replacement:
        return await self.answer(self._node.replacement(ancestor, head, watch, moved, natives=natives))

    async def parting(self, ancestor: Head, head: Head, moved: Collection[Holding]) -> Parting:
        return await self.answer(self._node.parting(ancestor, head, moved))

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
        return await self.answer(self._node.read(wanted))

    async def tags(self, beside: Head | None = None) -> Tags:
        return await self.answer(self._node.tags(beside))

    async def is_disputed(self, tip: Head) -> bool:
        return await self.answer(self._node.is_disputed(tip))

    def distrust(self, reason: str) -> None:
        self._node.distrust(reason)

    async def answer(self, question: Awaitable[T]) -> T:
        if self._patience is None:
            return await question
        timer = self._loop.call_later(self._patience(), self._say)
        try:
            answer = await question
        except asyncio.CancelledError:
            # Whoever asked is ended: a store that hangs as well must not keep it alive.
            await self._said(cut_short=True)
            raise
        except BaseException:
            await self._said()
            raise
        else:
            await self._said()
            return answer
        finally:
            timer.cancel()

    def _say(self) -> None:
        if self._saying is None and self._overdue is not None:
            self._saying = asyncio.ensure_future(self._overdue())

    async def _said(self, *, cut_short: bool = False) -> None:
        """What is being said is over when this returns."""
        saying, self._saying = self._saying, None
        if saying is None:
            return
        if cut_short:
            saying.cancel()
            await asyncio.wait((saying,))
        else:
            await saying
