"""Asks a node which blocks are safe and finalized, beside the heads, which never wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from actors.chains.ledger import Ledger
from actors.messages import TagsRead
from indexer.domain.chain import Head
from indexer.domain.finality import Tags, settle
from indexer.domain.headchain import HeadChain
from indexer.errors import Permanent, Transient

ASK_SECONDS: Final = 4.0
"""Blocks that come faster are not worth a question each: finality lags by minutes."""

ASK_AGAIN_SECONDS: Final = 60.0
"""A node that knew neither tag may be replaced by one that does."""

FIRST_ANSWER_SECONDS: Final = 1.0

NO_TAGS: Final = Tags(None, None)


class Node(Protocol):
    """Answers for both tags in one request."""

    async def tags(self) -> Tags: ...


class TagReader:
    """One per chain; `tip` tells the newest block that was followed, without which there is nothing to ask."""

    def __init__(self, node: Node, tip: Callable[[], Head | None]) -> None:
        self._node = node
        self._tip = tip
        self._clock = asyncio.get_running_loop().time
        self._silent_since: float | None = None

    async def run(self, on_answer: Callable[[TagsRead], None]) -> None:
        """Tell what the node answers, no more than once per block, until cancelled."""
        asked_at: Head | None = None
        while True:
            await asyncio.sleep(ASK_SECONDS)
            tip = self._tip()
            if tip is None or tip == asked_at:
                continue
            tags = await self._ask()
            if tags is not None:
                asked_at = tip
                on_answer(TagsRead(tags, tip))

    async def first(self) -> TagsRead | None:
        """What is known at the start, so that the first commit tells it already; nothing after a second."""
        tip = self._tip()
        try:
            async with asyncio.timeout(FIRST_ANSWER_SECONDS):
                tags = await self._ask()
        except TimeoutError:
            return None
        return None if tags is None else TagsRead(tags, tip)

    async def _ask(self) -> Tags | None:
        """Nothing where nobody answers: the heads will say so. Without any tag, depth is what counts meanwhile."""
        now = self._clock()
        if self._silent_since is not None and now - self._silent_since < ASK_AGAIN_SECONDS:
            return NO_TAGS
        try:
            tags = await self._node.tags()
        except (Transient, Permanent):
            return None
        self._silent_since = now if tags == NO_TAGS else None
        return tags


class Settler:
    """Holds answers against the blocks that we know, and tells the ledger what they settle."""

    def __init__(self, ledger: Ledger, known: Callable[[], HeadChain]) -> None:
        self._ledger = ledger
        self._known = known
        self._ever = NO_TAGS

    async def settle(self, answer: TagsRead) -> None:
        tags, known = answer.tags, self._known()
        self._ever = Tags(tags.safe or self._ever.safe, tags.finalized or self._ever.finalized)
        settled = settle(self._ledger.settling.now, known, tags, self._ever, answer.tip)
        if known.tip is not None and settled != self._ledger.settling.now:
            await self._ledger.settle(settled, known.tip)
