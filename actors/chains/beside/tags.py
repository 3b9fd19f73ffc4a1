"""Asks a node which blocks are safe and finalized, beside the heads, which never wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from actors.messages import TagsRead
from indexer.domain.chain import Head
from indexer.domain.following.finality import Hearing, Level, Tags, settle
from indexer.errors import Permanent, Transient

ASK_SECONDS: Final = 4.0
"""Blocks that come faster are not worth a question each: finality lags by minutes."""

OPEN_SECONDS: Final = 0.5
"""Until it is clear whether the chain's nodes know such tags."""

ASK_AGAIN_SECONDS: Final = 60.0
"""A node that knew neither tag may be replaced by one that does."""

FIRST_ANSWER_SECONDS: Final = 1.0

NO_TAGS: Final = Tags(None, None)


class Node(Protocol):
    """Answers for both tags, and for its block at the height of ours, in one request."""

    async def tags(self, beside: Head | None) -> Tags: ...


class TagReader:
    """One per chain; before any block was followed there is nothing to ask."""

    def __init__(self, node: Node, followed: Followed) -> None:
        self._node = node
        self._followed = followed
        self._clock = asyncio.get_running_loop().time
        self._heard: dict[Level, Hearing] = {"safe": Hearing(), "finalized": Hearing()}
        self._silent_since: float | None = None

    async def run(self, on_answer: Callable[[TagsRead], None]) -> None:
        """Tell what the node answers, no more than once per block once it is clear what it knows, until cancelled."""
        asked_at: Head | None = None
        while True:
            is_open = any(heard.is_open for heard in self._heard.values())
            await asyncio.sleep(OPEN_SECONDS if is_open else ASK_SECONDS)
            tip = self._followed.tip
            if tip is None or (tip == asked_at and not is_open):
                continue
            answer = await self._ask()
            if answer is not None:
                asked_at = tip
                on_answer(answer)

    async def first(self) -> TagsRead | None:
        """What is known at the start, so that the first commit tells it already; nothing after a second."""
        try:
            async with asyncio.timeout(FIRST_ANSWER_SECONDS):
                return await self._ask()
        except TimeoutError:
            return None

    async def _ask(self) -> TagsRead | None:
        """Nothing where nobody answers: the heads will say so. Without any tag, depth is what counts meanwhile."""
        now, heads = self._clock(), self._followed.known.heads
        # In the middle: the newest may not have come to this node yet, the oldest be forgotten by the time it answers.
        beside = heads[len(heads) // 2] if heads else None
        if self._silent_since is not None and now - self._silent_since < ASK_AGAIN_SECONDS:
            return TagsRead(NO_TAGS, beside, self._by_depth)
        try:
            tags = await self._node.tags(beside)
        except (Transient, Permanent):
            return None
        told: dict[Level, Head | None] = {"safe": tags.safe, "finalized": tags.finalized}
        self._heard = {level: self._heard[level].after(tag, untrue=tags.untrue) for level, tag in told.items()}
        self._silent_since = now if len(self._by_depth) == len(self._heard) else None
        return TagsRead(tags, beside, self._by_depth)

    @property
    def _by_depth(self) -> frozenset[Level]:
        return frozenset(level for level, heard in self._heard.items() if heard.is_hopeless)


class Settler:
    """Holds answers against the blocks that we know, and tells the ledger what they settle."""

    def __init__(self, ledger: Ledger, followed: Followed) -> None:
        self._ledger = ledger
        self._followed = followed

    async def settle(self, answer: TagsRead) -> None:
        known = self._followed.known
        settled = settle(self._ledger.settling.now, known, answer.tags, answer.by_depth, answer.beside)
        if known.tip is not None and settled != self._ledger.settling.now:
            await self._ledger.settle(settled, known.tip)
