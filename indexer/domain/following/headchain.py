"""The blocks we followed, and what a new head means to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from indexer.domain.chain import BlockHash, Head


@dataclass(frozen=True, slots=True)
class Known:
    """We already handled this very block."""


@dataclass(frozen=True, slots=True)
class Extended:
    """The head sits directly on our tip (or is the first we ever saw)."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Blocks `first` to `last` lie between our tip and the head, the head included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Reorged:
    """The head contradicts our tip: some of our newest blocks may be orphaned."""


Outcome = Known | Extended | Missed | Reorged


@dataclass(frozen=True, slots=True)
class HeadChain:
    """The newest blocks we handled, oldest first, each the parent of the next."""

    depth: int
    heads: tuple[Head, ...] = ()
    roots: int = -1
    """Up to this number they were not handled: they are what the first one stands on."""

    @property
    def tip(self) -> Head | None:
        return self.heads[-1] if self.heads else None

    def find(self, block: BlockHash) -> Head | None:
        return next((head for head in reversed(self.heads) if head.hash == block), None)

    def at(self, number: int) -> Head | None:
        return next((head for head in reversed(self.heads) if head.number == number), None)

    def extend(self, head: Head) -> HeadChain:
        """With `head` as the new tip; blocks past `depth` are forgotten."""
        return replace(self, heads=(*self.heads, head)).within()

    def within(self) -> HeadChain:
        """Without blocks that no reorg of `depth` reaches, by their numbers: after a restart there are holes."""
        low = self.heads[-1].number - self.depth if self.heads else 0
        start = next((index for index, head in enumerate(self.heads) if head.number > low), len(self.heads))
        return replace(self, heads=self.heads[start:]) if start else self

    def cut(self, ancestor: BlockHash) -> HeadChain:
        """Without everything above `ancestor`, which must be one of ours."""
        for index, head in enumerate(self.heads):
            if head.hash == ancestor:
                return replace(self, heads=self.heads[: index + 1])
        raise ValueError(f"{ancestor} is not among the known heads")

    def above(self, ancestor: BlockHash) -> tuple[Head, ...]:
        """The blocks on top of `ancestor`, oldest first."""
        kept = len(self.cut(ancestor).heads)
        return self.heads[kept:]


def advance(known: HeadChain, head: Head) -> Outcome:
    """Decide by hash and parent, never by number alone, what `head` means."""
    tip = known.tip
    if tip is None or (head.parent == tip.hash and head.number == tip.number + 1):
        return Extended()
    if known.find(head.hash) is not None:
        return Known()
    if head.number > tip.number + 1:
        return Missed(tip.number + 1, head.number)
    return Reorged()


def is_linked(parent: Head | None, heads: tuple[Head, ...]) -> bool:
    """Whether `heads` are an unbroken run of blocks on top of `parent`."""
    for head in heads:
        if parent is not None and (head.parent != parent.hash or head.number != parent.number + 1):
            return False
        parent = head
    return True


def block_seconds(known: HeadChain, newest: int = 16) -> float:
    """The median time between the newest blocks, by their own clock; 0 where there are none to tell it by."""
    handled = (head for head in known.heads[-newest:] if head.number > known.roots)
    gaps = [
        (after.timestamp - before.timestamp) / (after.number - before.number) for before, after in pairwise(handled)
    ]
    return max(0.0, median(gaps)) if gaps else 0.0
