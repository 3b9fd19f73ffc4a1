"""Orders to fill history, in the parts in which they are worked off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from indexer.domain.chain import NATIVE, Holding
from indexer.domain.history.jobs import Job
from indexer.domain.recording.gaps import Gap

MOST_BALANCES: Final = 5_000
"""Of one order, which is one document: with 37,000 it would not fit."""


def parts_of(holdings: Iterable[Holding]) -> list[tuple[Holding, ...]]:
    """As orders take them: tokens, of which logs tell, are not to wait for natives."""
    ordered = sorted(holdings, key=lambda holding: (holding.token == NATIVE, holding))
    kinds = [tuple(kind) for _, kind in groupby(ordered, key=lambda holding: holding.token == NATIVE)]
    return [kind[start : start + MOST_BALANCES] for kind in kinds for start in range(0, len(kind), MOST_BALANCES)]


def orders_of(gap: Gap) -> Iterator[Job]:
    """Made again, they are the same."""
    after, followed, trailing = gap.passed
    created = int(gap.time.timestamp() * 1000)
    for place, part in enumerate(parts_of(followed)):
        yield Job(
            id=f"gap-{gap.chain_id}-{gap.seq}-{place}",
            chain_id=gap.chain_id,
            first=after.number + 1,
            last=gap.number - 1,
            holdings=part,
            wanted=part,
            created=created + place,
            after=after,
            trailing=frozenset(trailing).intersection(part),
        )
