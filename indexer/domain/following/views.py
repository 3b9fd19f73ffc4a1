"""What a node answers about a block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from indexer.domain.chain import Head, Holding, Transfer


@dataclass(frozen=True, slots=True)
class Readings:
    """Balances at exactly one block; what could not be read is named with the reason, never zero."""

    values: Mapping[Holding, int] = field(default_factory=dict)
    unreadable: Mapping[Holding, str] = field(default_factory=dict)

    def and_more(self, more: Readings) -> Readings:
        return Readings({**self.values, **more.values}, {**self.unreadable, **more.unreadable})


@dataclass(frozen=True, slots=True)
class BlockView:
    """All Transfer logs of watched wallets in one block, and the balances that were read along with them.

    `suspects` are those that no log names, and were read since the block seems to have one.
    """

    head: Head
    transfers: tuple[Transfer, ...]
    readings: Readings
    suspects: frozenset[Holding] = frozenset()


@dataclass(frozen=True, slots=True)
class Replacement:
    """A block in the place of another, and what is canonical at its parent's height and its own."""

    view: BlockView
    canonical: tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class Parting:
    """What held where two branches part, and what is canonical at that height and the next."""

    before: Readings
    canonical: tuple[Head, ...]


def unread(holdings: Iterable[Holding], readings: Readings) -> frozenset[Holding]:
    """Those among them that have no value; not by taking sets apart, which looks at all 1,000 of a block (0.1 ms)."""
    return frozenset(holding for holding in holdings if holding not in readings.values)
