"""One document is one commit: all that a block changes, told under consecutive numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Holding, Transfer
from indexer.domain.telling.facts import BalanceReverted, Checkpoint, Fact, HistoryFilled, StreamResync, chain_id_of

LOGS_AS_FACT: Final = 8
"""So many logs take as much of a document as the rest of a fact: 70 bytes each where they are of its own block."""

ROWS_AS_FACT: Final = 8
"""The same of the balances that a resync names: 50 to 110 bytes each."""


@dataclass(frozen=True, slots=True)
class Commit:
    """At least one fact, numbered from `first_seq`; `id` tells our own retry from another writer's commit.

    `noted` are logs that led to no record, of the blocks since the commit before: a restart would forget them else; of
    those that are `lost` there were too many.
    """

    id: str
    stream: str
    first_seq: int
    time: datetime
    facts: tuple[Fact, ...]
    checkpoint: Checkpoint | None = None
    noted: tuple[Transfer, ...] = ()
    lost: tuple[Holding, ...] = ()

    def __post_init__(self) -> None:
        if not self.facts or self.first_seq < 1:
            raise ValueError("a commit holds at least one fact and is numbered from 1")

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.facts) - 1

    @property
    def chain_id(self) -> int | None:
        """The chain that all its facts are about; nothing for an account's."""
        return chain_id_of(self.facts[0])

    @property
    def size(self) -> int:
        """How much work it is: its facts, and the records that facts about history carry."""
        return len(self.facts) + sum(len(fact.rows) for fact in self.facts if isinstance(fact, HistoryFilled))

    @property
    def weight(self) -> int:
        """How much of a document it takes, in updates with a few logs each."""
        return weight(self.facts) + len(self.noted) // 2

    @property
    def ancestor(self) -> int | None:
        """The block that a reorg within the window goes back to; nothing where it tells of none."""
        return next((fact.block.number for fact in self.facts if isinstance(fact, BalanceReverted)), None)

    def events(self, epoch: str, *, after: int = 0, most: int | None = None) -> Iterator[Event]:
        """All of them, or those numbered above `after`, and so many at most."""
        start = max(0, after - self.first_seq + 1)
        for offset, fact in enumerate(self.facts[start : None if most is None else start + most], start):
            yield Event(epoch, self.stream, self.first_seq + offset, self.time, fact)


def weight(facts: Iterable[Fact]) -> int:
    """The same of these facts alone."""
    return sum(_weight(fact) for fact in facts)


def _weight(fact: Fact) -> int:
    match fact:
        case BalanceUpdated():
            return 1 + len(fact.transfers) // LOGS_AS_FACT
        case BalanceReverted():
            return 1 + len(fact.orphaned) // LOGS_AS_FACT
        case StreamResync():
            named = 0 if fact.passed is None else len(fact.passed.followed) + len(fact.passed.trailing)
            return 1 + (len(fact.confirmed) + named) // ROWS_AS_FACT
        case _:
            return 1


def parts(facts: Sequence[Fact], most: int) -> Iterator[tuple[Fact, ...]]:
    """The same in order, each part of so much weight at most, or of one fact that has more alone."""
    part: list[Fact] = []
    weighs = 0
    for fact in facts:
        more = _weight(fact)
        if part and weighs + more > most:
            yield tuple(part)
            part, weighs = [], 0
        part.append(fact)
        weighs += more
    if part:
        yield tuple(part)


def with_replacements(commits: Sequence[Commit], most: int) -> list[Commit]:
    """The same facts under the same numbers, but what a reorg takes back in one commit with the block in its place.

    One document is written, read and told faster than two, and no restart finds the one without the other.
    """
    merged: list[Commit] = []
    for commit in commits:
        last = merged[-1] if merged else None
        if last is not None and _is_replaced_by(last, commit) and weight((*last.facts, *commit.facts)) <= most:
            merged[-1] = replace(
                last,
                facts=(*last.facts, *commit.facts),
                checkpoint=commit.checkpoint,
                noted=(*last.noted, *commit.noted),
                lost=(*last.lost, *commit.lost),
            )
        else:
            merged.append(commit)
    return merged


def _is_replaced_by(commit: Commit, later: Commit) -> bool:
    """Whether one tells of retractions only, and the other of the block on top of their common ancestor."""
    return (
        commit.checkpoint is not None
        and later.checkpoint is not None
        and later.checkpoint.head.parent == commit.checkpoint.head.hash
        and all(isinstance(fact, BalanceReverted) for fact in commit.facts)
    )


@dataclass(frozen=True, slots=True)
class Event:
    """A fact with its number, as it is told."""

    epoch: str
    stream: str
    seq: int
    time: datetime
    fact: Fact

    @property
    def id(self) -> str:
        return f"{self.epoch}:{self.stream}:{self.seq}"
