"""Where nobody watched a balance in between, what a commit says about that, and what becomes of it in a reorg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Holding
from indexer.domain.telling.facts import Fact, StreamResync


class Hole(NamedTuple):
    """From block `first` to below block `end`, of which there is a record again, nobody watched a balance."""

    first: int
    end: int

    def below(self, first: int, covered: int | None) -> Hole | None:
        """What is left of it once it is filled from block `first` on; of what nobody wants below, nothing."""
        is_all = first <= self.first or (covered is not None and first <= covered)
        return None if is_all else Hole(self.first, first)


def may_leave_one(fact: Fact) -> bool:
    """Whether history may have to be filled below the record that it tells."""
    if isinstance(fact, BalanceUpdated):
        return fact.apart or fact.cause in ("first", "resync")
    return isinstance(fact, StreamResync) and fact.above is not None


class Apart(NamedTuple):
    """Right below the record of this block, told as number `seq`, nobody watched the balance for a while.

    Up to block `known` at least somebody did.
    """

    chain_id: int
    holding: Holding
    number: int
    seq: int
    known: int = -1


class Loose(NamedTuple):
    """The record of this block says nothing of what was below it: there is a hole if there is anything else."""

    chain_id: int
    holding: Holding
    number: int
    seq: int


class Reread(NamedTuple):
    """Read at this block, since all records above some lower one were cut off: told as number `seq`."""

    chain_id: int
    holding: Holding
    number: int
    seq: int


class Rejoined(NamedTuple):
    """A reorg took back all records above block `above`: from block `number` on the chain was followed since.

    Of one balance, or of all that the chain has; told as number `seq`.
    """

    chain_id: int
    holding: Holding | None
    above: int
    number: int
    seq: int

    def left_of(self, hole: Hole) -> Hole | None:
        """A hole ended at a record; where that is gone, nobody would ever reach its end.

        Where the records of all are cut off, it goes on up to the block at which all were read again.
        """
        if hole.end <= self.above and self.holding is not None:
            return hole
        left = Hole(min(hole.first, self.above + 1), self.number)
        return left if left.first < left.end else None


@dataclass(frozen=True, slots=True)
class Rejoining:
    """Of one chain, each balance once: written in one go, as a reorg takes back records of thousands."""

    chain_id: int
    each: dict[Holding | None, Rejoined] = field(default_factory=dict)

    @property
    def cut(self) -> Rejoined | None:
        """Of all: whatever history was filled above it is gone, and nobody followed what is in its place."""
        return self.each.get(None)

    def grounded(self, newest: int) -> Rejoining:
        """The cut with block `newest` of the records that are left: from there on nobody knows where branches part."""
        cut = self.each[None]
        return replace(self, each={**self.each, None: cut._replace(above=min(cut.above, newest))})

    @property
    def holdings(self) -> list[Holding] | None:
        """Whose holes are looked at; nothing for those of all."""
        return None if None in self.each else [holding for holding in self.each if holding is not None]

    def left_of(self, holes: Mapping[Holding, Hole]) -> Iterator[tuple[Holding, Hole, Hole | None, int]]:
        """Those that change: balance, hole, what is left of it, and by which number of the stream."""
        for holding, hole in holes.items():
            told = self.each.get(holding, self.each.get(None))
            if told is not None and (left := told.left_of(hole)) != hole:
                yield holding, hole, left, told.seq


@dataclass(frozen=True, slots=True)
class Parting:
    """Of one chain, each balance once: written in one go, as a token may be watched again for thousands."""

    each: tuple[tuple[Apart, int], ...]
    """With a block, the newest record below which is the last before the hole: above it may be what a reorg left."""


@dataclass(frozen=True, slots=True)
class Rereading:
    """Of one chain at one block, written in one go: nobody followed the blocks above the records that are left."""

    chain_id: int
    number: int
    each: dict[Holding, int] = field(default_factory=dict)
    """By balance the number under which it was told."""


Told = Apart | Loose | Reread | Rejoined


def where_filled(told: Sequence[Told], tops: Mapping[int, Mapping[Holding, int]]) -> list[Apart | Reread | Rejoined]:
    """Below a loose record nothing is missing where it is the oldest of all, or history was filled up to there.

    `tops` tell by chain up to which record it was, or may be by now, of those that have any below.
    """
    return [
        Apart(*each) if isinstance(each, Loose) else each
        for each in told
        if not isinstance(each, Loose) or tops.get(each.chain_id, {}).get(each.holding, each.number) < each.number
    ]


def loose_by_chain(told: Sequence[Told]) -> dict[int, list[Holding]]:
    found: dict[int, list[Holding]] = {}
    for each in told:
        if isinstance(each, Loose):
            found.setdefault(each.chain_id, []).append(each.holding)
    return found


def steps(told: Sequence[Apart | Reread | Rejoined]) -> Iterator[Parting | Rereading | Rejoining]:
    """In the order told; their records, those of all of them, are there by then."""
    run: list[tuple[Apart | Reread | Rejoined, int]] = []
    met: set[Holding | None] = set()
    for each, below in zip(told, _belows(told), strict=True):
        if run and (not _are_alike(run[0][0], each) or each.holding in met):
            yield _step_of(run)
            run, met = [], set()
        run.append((each, below))
        met.add(each.holding)
    if run:
        yield _step_of(run)


def _are_alike(one: Apart | Reread | Rejoined, other: Apart | Reread | Rejoined) -> bool:
    """Whether both can be written in one go."""
    if type(one) is not type(other) or one.chain_id != other.chain_id:
        return False
    if isinstance(one, Reread):
        return one.number == other.number
    return (one.holding is None) == (other.holding is None)


def _step_of(run: Sequence[tuple[Apart | Reread | Rejoined, int]]) -> Parting | Rereading | Rejoining:
    one = run[0][0]
    match one:
        case Apart():
            return Parting(tuple((each, below) for each, below in run if isinstance(each, Apart)))
        case Reread():
            return Rereading(
                one.chain_id, one.number, {each.holding: each.seq for each, _ in run if isinstance(each, Reread)}
            )
        case Rejoined():
            rejoined = {each.holding: each for each, _ in run if isinstance(each, Rejoined)}
            return Rejoining(one.chain_id, rejoined)


def _belows(told: Sequence[Apart | Reread | Rejoined]) -> list[int]:
    """By each its number, or that from which on the chain was followed after a lower reorg that came later."""
    lowest: dict[tuple[int, Holding | None], Rejoined] = {}
    belows = []
    for each in reversed(told):
        key = (each.chain_id, each.holding)
        if isinstance(each, Rejoined):
            lowest[key] = min(each, lowest.get(key, each), key=lambda one: one.above)
            belows.append(each.number)
        else:
            later = [lowest[one] for one in (key, (each.chain_id, None)) if one in lowest]
            belows.append(min((one.number for one in later if one.above < each.number), default=each.number))
    return belows[::-1]
