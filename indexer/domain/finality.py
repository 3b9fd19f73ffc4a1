"""How sure it is that a block stays: as the chain's nodes tell, or by how deep it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from indexer.domain.balances import Finality
from indexer.domain.chain import Head
from indexer.domain.headchain import HeadChain

SAFE_DEPTH: Final = 32
FINALIZED_DEPTH: Final = 64
"""One and two epochs of Ethereum, for chains whose nodes know no such tags."""

Level = Literal["safe", "finalized"]

_ORDER: Final[tuple[Finality, ...]] = ("latest", "safe", "finalized")


@dataclass(frozen=True, slots=True)
class Settled:
    """The highest block numbers of each level; -1 where there is none yet."""

    safe: int = -1
    finalized: int = -1

    def level(self, number: int) -> Finality:
        if number <= self.finalized:
            return "finalized"
        return "safe" if number <= self.safe else "latest"

    def at_least(self, known: Finality, number: int) -> Finality:
        """The level now of a block that was `known` to be so sure when its record was written."""
        return max(known, self.level(number), key=_ORDER.index)

    def up_to(self, number: int) -> Settled:
        """After a reorg to this block: what is built on it has to get there anew."""
        return Settled(min(self.safe, number), min(self.finalized, number))


class Tags(NamedTuple):
    """What a node answered for its two tags; nothing where it has no such tag, or no such block yet."""

    safe: Head | None
    finalized: Head | None


def settle(settled: Settled, known: HeadChain, tags: Tags, tagged: Tags) -> Settled:
    """The new numbers, never lower ones.

    Depth counts only where a node never answered to a tag (`tagged` holds the newest answers ever given). A tag is
    believed up to our own tip, and only while it does not contradict a block that we know: the endpoint that answered
    may sit on a fork, or we may.
    """
    tip = known.tip
    if tip is None:
        return settled
    finalized = _reached(settled.finalized, known, tip, tags.finalized, tagged.finalized, FINALIZED_DEPTH)
    safe = _reached(settled.safe, known, tip, tags.safe, tagged.safe, SAFE_DEPTH)
    return Settled(max(safe, finalized), finalized)


def _reached(before: int, known: HeadChain, tip: Head, tag: Head | None, ever: Head | None, depth: int) -> int:
    if tag is None:
        return before if ever is not None else max(before, tip.number - depth, -1)
    ours = known.at(tag.number)
    if tag.number > tip.number or (ours is not None and ours.hash != tag.hash):
        return before
    return max(before, tag.number)
