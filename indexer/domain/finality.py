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


def settle(settled: Settled, known: HeadChain, tags: Tags, tagged: Tags, asked_at: Head | None) -> Settled:
    """The new numbers, never lower ones.

    Depth counts only where a node never answered to a tag (`tagged` holds the newest answers ever given). A tag is
    believed up to our own tip, and only while it does not contradict a block that we know: the endpoint that answered
    may sit on a fork, or we may. Where we do not know its block, our tip at the time of the question, `asked_at`, must
    still be ours: else the answer may be of a branch that was left since.
    """
    tip = known.tip
    if tip is None:
        return settled
    ours = _Ours(known, tip, asked_at is None or known.find(asked_at.hash) is not None)
    finalized = _reached(settled.finalized, ours, tags.finalized, tagged.finalized, FINALIZED_DEPTH)
    safe = _reached(settled.safe, ours, tags.safe, tagged.safe, SAFE_DEPTH)
    return Settled(max(safe, finalized), finalized)


class _Ours(NamedTuple):
    """The blocks that we know, and whether none of them was taken back since the node was asked."""

    known: HeadChain
    tip: Head
    is_same: bool

    def has(self, tag: Head) -> bool:
        """As far as we can tell: by the block itself, or by the next one's parent."""
        if (ours := self.known.at(tag.number)) is not None:
            return ours.hash == tag.hash
        if (child := self.known.at(tag.number + 1)) is not None:
            return child.parent == tag.hash
        return self.is_same and tag.number <= self.tip.number


def _reached(before: int, ours: _Ours, tag: Head | None, ever: Head | None, depth: int) -> int:
    if tag is None:
        return before if ever is not None else max(before, ours.tip.number - depth, -1)
    return max(before, tag.number) if ours.has(tag) else before
