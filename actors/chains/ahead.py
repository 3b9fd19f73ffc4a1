"""What was missed, in parts: while one is written, the node answers for the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

from actors.chains.nodes import Node
from indexer.domain.chain import Head
from indexer.domain.headchain import is_linked
from indexer.domain.views import BlockView
from indexer.errors import BadAnswer

CATCH_UP_BLOCKS = 32
"""Blocks looked at in one round trip when some were missed; with 1,000 wallets an answer of about 2 MB."""

Look = Callable[[Node, Sequence[Head]], Awaitable[tuple[BlockView, ...]]]


class Span(NamedTuple):
    """Block numbers, both included."""

    first: int
    last: int


def spans_of(first: int, last: int) -> Iterator[Span]:
    for start in range(first, last + 1, CATCH_UP_BLOCKS):
        yield Span(start, min(last, start + CATCH_UP_BLOCKS - 1))


class Part(NamedTuple):
    """The blocks of a span; nobody looked at those that do not sit on the block below."""

    heads: tuple[Head, ...]
    is_linked: bool
    views: tuple[BlockView, ...] = ()


class Ahead:
    """At most one question, which is under way while its answer is not wanted yet."""

    def __init__(self, node: Node, look: Look) -> None:
        self._node = node
        self._look = look
        self._task: asyncio.Task[Part] | None = None

    def ask(self, span: Span, below: Head | None) -> None:
        self._task = asyncio.create_task(self._part(span, below))

    async def asked(self) -> Part:
        """The answer, or why there is none."""
        task, self._task = self._task, None
        if task is None:
            raise RuntimeError("nothing was asked")
        return await task

    async def drop(self) -> None:
        """Nobody wants the answer any more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()  # looked at, so that nobody is told that it was not

    async def _part(self, span: Span, below: Head | None) -> Part:
        heads = await self._node.headers(*span)
        if not heads or heads[0].number != span.first or not is_linked(None, heads):
            raise BadAnswer(f"headers {span.first} to {span.last} are not one chain")
        if not is_linked(below, heads[:1]):
            return Part(heads, is_linked=False)
        return Part(heads, is_linked=True, views=await self._look(self._node, heads))
