"""Which blocks the service said that it passed over: only there may history leave out what changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Holding
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, HistoryFilled, StreamResync


@dataclass(frozen=True)
class Stretch:
    """Blocks above the last one that was `known`, up to `block`, at which everything was read anew.

    `is_cut`: records above it were taken back, also those that were filled in by then; `place` is the commit's that
    says so.
    """

    known: int
    block: int
    is_cut: bool
    place: int

    def has(self, number: int) -> bool:
        return self.known < number <= self.block

    def took_back(self, number: int, told: int) -> bool:
        """Whether a record of this block is gone that was told by the commit at place `told`."""
        return self.is_cut and self.has(number) and told < self.place

    def refers_elsewhere(self, older: BalanceRecord, newer: BalanceRecord) -> bool:
        """Whether `newer` says what it changed of a record that was taken back, or of one before what is filled in."""
        is_its_own = newer.cause == "resync" and newer.block.number == self.block
        return is_its_own and (self.is_cut or self.has(older.block.number))


def passed_over(commits: Iterable[Commit]) -> Sequence[Stretch]:
    """What a reorg took back is followed anew.

    The last known block is not told. It is no lower than the newest that has a record; where a reorg was so deep that
    single blocks are not known any more, no lower than the newest with a record that is not taken back, nor was before.
    """
    stretches: list[Stretch] = []
    heard = [0]
    filled: dict[Holding, list[int]] = {}
    for place, commit in enumerate(commits):
        for fact in commit.facts:
            match fact:
                case BalanceUpdated():
                    heard.append(fact.block.number)
                case BalanceReverted():
                    heard = _to(fact.block.number, heard)
                    stretches = _up_to(fact.block.number, stretches)
                case HistoryFilled():
                    there = filled.get(fact.holding, [])
                    if fact.void:
                        there = [number for number in there if not fact.first <= number <= fact.last]
                    filled[fact.holding] = [*there, *(row.block.number for row in fact.rows)]
                case StreamResync(above=None):
                    stretches.append(Stretch(max(heard), fact.block.number, is_cut=False, place=place))
                    heard.append(fact.block.number)
                case StreamResync(above=int(above)):
                    heard = _to(above, heard)
                    filled = {holding: _to(above, there) for holding, there in filled.items()}
                    known = max((*heard, *chain.from_iterable(filled.values())))
                    stretches = [*_up_to(known, stretches), Stretch(known, fact.block.number, is_cut=True, place=place)]
                    heard.append(fact.block.number)
                case _:
                    pass
    return stretches


def _to(number: int, recorded: Sequence[int]) -> list[int]:
    return [each for each in recorded if each <= number]


def _up_to(number: int, stretches: Sequence[Stretch]) -> list[Stretch]:
    return [replace(each, block=min(each.block, number)) for each in stretches if each.known < number]
