"""How sure it is that a block stays: as the chain's nodes tell, or by how deep it lies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from indexer.domain.balances import Finality
from indexer.domain.chain import Head
from indexer.domain.following.headchain import HeadChain

SAFE_DEPTH: Final = 32
FINALIZED_DEPTH: Final = 64
"""One and two epochs of Ethereum, for chains whose nodes know no such tags."""

Level = Literal["safe", "finalized"]

FEW_ANSWERS: Final = 8
"""Without a tag, in a row: of several nodes behind one address, one that knows none may be the first to answer."""
_MANY_ANSWERS: Final = 64
"""And with tags that cannot be true, where true ones were told before."""

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
    """What a node answered for its two tags; nothing where it has no such tag, or no such block yet.

    `beside` is its block at the height of one of ours, asked after them: what is final lies below it for good.
    """

    safe: Head | None
    finalized: Head | None
    beside: Head | None = None
    untrue: bool = False
    """It told a tag above its own newest block, which is left out here."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What came of asking for one tag until now: whether it `was_told`, and how often in a row it was `missing`."""

    was_told: bool = False
    missing: int = 0

    def after(self, tag: Head | None, *, untrue: bool) -> Hearing:
        """A chain that stops finalizing must not be called final: what was told once may be missing for ever."""
        if tag is not None:
            return Hearing(was_told=True)
        return self if self.was_told and not untrue else replace(self, missing=self.missing + 1)

    @property
    def is_open(self) -> bool:
        """Whether the next answers will show if the chain's nodes know this tag."""
        return not self.was_told and not self.is_hopeless

    @property
    def is_hopeless(self) -> bool:
        """Depth counts instead. One odd answer proves nothing: a number that is too high would never fall again."""
        return self.missing >= (_MANY_ANSWERS if self.was_told else FEW_ANSWERS)


def settle(settled: Settled, known: HeadChain, tags: Tags, by_depth: Collection[Level], beside: Head | None) -> Settled:
    """The new numbers, never lower ones.

    Where a tag is missing, depth counts for the levels that are told `by_depth`. A tag is
    believed up to our own tip, and only while it does not contradict a block that we know: the endpoint that answered
    may sit on a fork, or we may. A block that we do not know is believed below one that is ours and the node's:
    `beside`, which it was asked for as well; nothing where we knew none yet.
    """
    tip = known.tip
    if tip is None:
        return settled
    ours = _Ours(known, tip, tip.number if beside is None else _shared(known, tags, beside))
    finalized = _reached(settled.finalized, ours, tags.finalized, FINALIZED_DEPTH if "finalized" in by_depth else None)
    safe = _reached(settled.safe, ours, tags.safe, SAFE_DEPTH if "safe" in by_depth else None)
    return Settled(max(safe, finalized), finalized)


def _shared(known: HeadChain, tags: Tags, beside: Head) -> int:
    """Up to which number the node's branch surely is ours."""
    return beside.number if tags.beside == beside and known.find(beside.hash) is not None else -1


class _Ours(NamedTuple):
    """The blocks that we know, and up to which number those that we do not are on their branch."""

    known: HeadChain
    tip: Head
    shared: int

    def has(self, tag: Head) -> bool:
        """As far as we can tell: by the block itself, or by the next one's parent."""
        if (ours := self.known.at(tag.number)) is not None:
            return ours.hash == tag.hash
        if (child := self.known.at(tag.number + 1)) is not None:
            return child.parent == tag.hash
        return tag.number <= self.shared


def _reached(before: int, ours: _Ours, tag: Head | None, depth: int | None) -> int:
    if tag is None:
        return before if depth is None else max(before, ours.tip.number - depth, -1)
    return max(before, tag.number) if ours.has(tag) else before
