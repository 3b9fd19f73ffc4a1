"""What would take blocks back is asked anew before it is believed, and said while it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from indexer.domain.chain import Head
from indexer.domain.following.headchain import HeadChain, is_linked
from indexer.errors import Doubtful

log = structlog.get_logger(__name__)

FAR_BELOW: Final = 64
"""A newest block so far below ours is of a node that syncs; whatever it says, nothing is rolled back."""

SET_BACK_SECONDS: Final = 10.0
"""A chain that ends below our tip, on another branch, lags on a fork; if it stays so, it was set back."""


class Node(Protocol):
    """Tells which blocks are canonical; `is_disputed` when another endpoint that is not behind still has our tip.

    After `distrust`, another endpoint than the one that answered last is asked for a while, if another is well.
    """

    @property
    def endpoint(self) -> str: ...

    async def headers(self, first: int, last: int) -> tuple[Head, ...]: ...

    async def is_disputed(self, tip: Head) -> bool: ...

    def distrust(self, reason: str) -> None: ...


class Doubts:
    """Raises `Doubtful` for as long as there is a reason to keep our blocks."""

    def __init__(self, *, chain: str, node: Node, doubted: Callable[[], None]) -> None:
        self._log = log.bind(chain=chain)
        self._node = node
        self._doubted = doubted
        self._clock = asyncio.get_running_loop().time
        self._shorter_since: float | None = None
        self._told = False

    def weigh(self, known: HeadChain, newest: Head) -> None:
        """Whether a node that ends at `newest` can say anything about our blocks."""
        tip = known.tip
        if tip is not None and tip.number - newest.number > FAR_BELOW:
            raise self._reason(f"the newest block is {newest.number}, far below our {tip.number}")

    async def confirm(self, known: HeadChain, ancestor: Head | None, newest: Head) -> None:
        """All of ours above `ancestor` (or simply all) are denied once more, by one chain up to our height."""
        if await self._node.is_disputed(known.heads[-1]):
            raise self._reason(f"endpoints disagree about block {known.heads[-1].number}")
        tip = known.heads[-1].number
        top = min(tip, newest.number)
        first = known.heads[0] if ancestor is None else ancestor
        again = await self._node.headers(first.number, top)
        theirs = again if ancestor is None else again[1:]
        parted = bool(again) and again[0].number == first.number and (ancestor is None or again[0].hash == first.hash)
        if not parted or not is_linked(None, again) or any(known.find(head.hash) for head in theirs):
            reason = f"asked twice, the node contradicts itself about blocks {first.number} to {top}"
            doubtful = self._reason(reason)
            self._node.distrust(reason)
            raise doubtful
        if again[-1].number < tip:
            self._bide(again[-1], tip)

    def none(self) -> None:
        """The node's chain goes on from ours, or has taken its place."""
        self._shorter_since, self._told = None, False

    def _bide(self, last: Head, top: int) -> None:
        now = self._clock()
        self._shorter_since = now if self._shorter_since is None else self._shorter_since
        if now - self._shorter_since < SET_BACK_SECONDS:
            raise self._reason(f"another branch ends at block {last.number}, below our {top}")

    def _reason(self, reason: str) -> Doubtful:
        if not self._told:
            self._told = True
            self._doubted()
            self._log.warning("reorg_doubted", endpoint=self._node.endpoint, reason=reason)
        return Doubtful(f"{self._node.endpoint}: {reason}; nothing is rolled back")
