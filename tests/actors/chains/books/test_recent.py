"""What a reorg may take back: found from the newest on, and the same as if all were looked at."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from actors.chains.books.recent import Recent, _as_update, _confirmed
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import BlockHash, Holding, TokenInfo
from indexer.domain.telling.facts import BalanceReverted, Confirmed, Fact, Orphaned, Passed, StreamResync
from tests.actors.fakes import commit_of, head_at, holding, updated

INFO = TokenInfo(6, "USDC", "USD Coin")

numbers = st.integers(1, 12)
updates = st.builds(lambda number, who: updated(number, 7, who=who), numbers, st.integers(0, 2))
reverts = st.builds(
    lambda number, who, anchor: BalanceReverted(
        1,
        holding(who),
        7,
        5,
        head_at(number).ref,
        INFO,
        (Orphaned(number + 1, head_at(number + 1).hash, 7),),
        anchor=anchor,
    ),
    numbers,
    st.integers(0, 2),
    st.booleans(),
)
resyncs = st.builds(
    lambda number, above: StreamResync(1, "deep", head_at(number).ref, above, (Confirmed(holding(0), 7, INFO),)),
    numbers,
    st.none() | numbers,
)


class _Naive:
    """Looks at everything."""

    def __init__(self) -> None:
        self.updates: list[BalanceUpdated] = []
        self._over_cuts: set[BlockHash] = set()

    def above(self, number: int) -> list[BalanceUpdated]:
        return [
            replace(one, previous=None) if one.cause == "resync" and one.block.hash in self._over_cuts else one
            for one in self.updates
            if one.block.number > number
        ]

    def remember(self, facts: list[Fact]) -> None:
        taken: dict[Holding, BalanceReverted] = {}
        for fact in facts:
            if isinstance(fact, BalanceReverted):
                taken[fact.holding] = fact
            elif isinstance(fact, BalanceUpdated):
                self._take_back(taken)
                self.updates.append(fact)
            elif isinstance(fact, StreamResync):
                if fact.above is not None:
                    self._over_cuts.add(fact.block.hash)
                    self.updates = [one for one in self.updates if one.block.number <= fact.above]
                self.updates += [_confirmed(fact, row) for row in fact.confirmed]
        self._take_back(taken)

    def _take_back(self, facts: dict[Holding, BalanceReverted]) -> None:
        self.updates = [
            one
            for one in self.updates
            if one.holding not in facts or one.block.number <= facts[one.holding].block.number
        ]
        self.updates += [_as_update(fact) for fact in facts.values() if fact.anchor]
        facts.clear()


@given(st.lists(st.lists(updates | reverts | resyncs, min_size=1, max_size=4), max_size=8), numbers)
def test_whatever_is_told_the_updates_above_a_block_are_those_that_were_not_taken_back(
    told: list[list[Fact]], number: int
) -> None:
    recent, naive = Recent(), _Naive()
    for place, facts in enumerate(told):
        recent.remember(commit_of(1 + place, *facts))
        naive.remember(facts)
        assert recent.updates == naive.updates
        assert recent.above(number) == naive.above(number)


def test_what_was_read_anew_after_a_gap_has_a_record_before_it_only_for_who_goes_back_below_the_gap() -> None:
    recent, rows = Recent(), (Confirmed(holding(1), 5, INFO),)
    resync = StreamResync(1, "pruned", head_at(9).ref, None, rows, Passed(head_at(4).ref, (holding(0), holding(1))))
    changed = replace(updated(9, 7, 3), cause="resync")
    recent.remember(commit_of(1, resync, changed))
    assert {one.holding: one.previous for one in recent.above(4)} == {holding(0): 3, holding(1): 5}
    assert {one.previous for one in recent.above(6)} == {None}


@given(st.lists(updates, min_size=1, max_size=12), numbers)
def test_what_is_forgotten_lies_below_that_block(told: list[BalanceUpdated], number: int) -> None:
    recent = Recent()
    recent.remember(commit_of(1, *told))
    recent.forget(number)
    middle = told[len(told) // 2].block.number
    assert recent.updates == ([one for one in told if one.block.number >= number] if middle < number else told)
    assert recent.above(number) == [one for one in told if one.block.number > number]
