"""What was missed, in parts: while one is written, the node answers for the next two."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from actors.chains.nodes import Node
from indexer.domain.balances import Watch
from indexer.domain.chain import Head
from indexer.domain.following.headchain import is_linked
from indexer.domain.following.views import BlockView
from indexer.errors import BadAnswer, StateMissing

CATCH_UP_BLOCKS = 32
"""Blocks looked at in one round trip when some were missed; with 1,000 wallets an answer of about 2 MB."""

AT_ONCE = 2
"""Parts that are asked for while one is written."""

Look = Callable[[Node, Sequence[Head]], Awaitable[tuple[BlockView, ...]]]


class Span(NamedTuple):
    """Block numbers, both included."""

    first: int
    last: int


def spans_of(first: int, last: int) -> Iterator[Span]:
    for start in range(first, last + 1, CATCH_UP_BLOCKS):
        yield Span(start, min(last, start + CATCH_UP_BLOCKS - 1))


class Part(NamedTuple):
    """The blocks of a span, each on top of another, and what was seen in them; or why that cannot be seen any more.

    Whoever wrote the block below says whether they sit on it: of another branch nothing is missing.
    """

    heads: tuple[Head, ...]
    views: tuple[BlockView, ...]
    missing: StateMissing | None = None


class Ahead:
    """The parts that follow; so many are under way at once that the node never waits for us."""

    def __init__(self, node: Node, watch: Watch, look: Look, spans: Iterable[Span]) -> None:
        self._node = node
        self._watch = watch
        self._look = look
        self._spans = iter(spans)
        self._asked: deque[asyncio.Task[Part]] = deque()

    def ask(self) -> None:
        """For as many as may be under way."""
        for span in islice(self._spans, AT_ONCE - len(self._asked)):
            self._asked.append(asyncio.create_task(self._part(span)))

    async def asked(self) -> Part:
        """The next one, or why there is none."""
        return await self._asked.popleft()

    async def drop(self) -> None:
        """Nobody wants the answers any more."""
        tasks, self._asked = tuple(self._asked), deque()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # looked at, so that nobody is told that it was not

    async def _part(self, span: Span) -> Part:
        heads = await self._node.missed(*span, self._watch)
        if not heads or heads[0].number != span.first or not is_linked(None, heads):
            raise BadAnswer(f"headers {span.first} to {span.last} are not one chain")
        try:
            return Part(heads, await self._look(self._node, heads))
        except StateMissing as error:
            return Part(heads, (), error)
