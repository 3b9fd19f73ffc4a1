"""Everything is read anew: of very many balances that is told in several facts, which say together what one would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Holding, TokenInfo
from indexer.domain.recording.gaps import later_than
from indexer.domain.recording.records import Projection, fold
from indexer.domain.resuming.recovery import continued
from indexer.domain.resuming.resyncs import in_parts
from indexer.domain.telling.commits import Commit, parts
from indexer.domain.telling.facts import Checkpoint, Confirmed, Fact, Passed, StreamResync
from tests.repositories.samples import INFO, TIME, USDC, head_at, solver_at, updated

MANY = tuple(Holding(USDC, solver_at(index)) for index in range(5))
WHOLE = StreamResync(
    1,
    "a reorg deeper than the window",
    head_at(12, "b").ref,
    above=6,
    confirmed=tuple(Confirmed(holding, index, INFO) for index, holding in enumerate(MANY[:4])),
    passed=Passed(head_at(6).ref, MANY[1:], MANY[3:]),
)
DIFFERS = BalanceUpdated(1, MANY[4], 9, 3, WHOLE.block, "resync", TokenInfo())


def commits(*facts: Sequence[Fact]) -> list[Commit]:
    """Each in turn, after one that is not about it."""
    made = [Commit("before", "chain:1", 1, TIME, tuple(updated(9, solver=index, balance=7) for index in range(5)))]
    for told in facts:
        made.append(Commit(f"part {len(made)}", "chain:1", made[-1].last_seq + 1, TIME, tuple(told)))
    return made


def rows(projection: Projection) -> dict[object, object]:
    """Without the numbers under which they were told."""
    return {
        "records": {key: replace(record, seq=0) for key, record in projection.records.items()},
        "current": {key: replace(record, seq=0) for key, record in projection.current.items()},
        "cuts": {chain: cut.above for chain, cut in projection.cuts.items()},
        "holes": {hole._replace(seq=0) for hole in projection.holes},
        "gaps": {(gap.number, gap.passed.after) for gap in projection.gaps},
        "followed": {holding for gap in projection.gaps for holding in gap.passed.followed},
        "trailing": {holding for gap in projection.gaps for holding in gap.passed.trailing},
    }


def test_few_balances_are_told_in_one() -> None:
    assert in_parts(WHOLE, 5) == (WHOLE,)


@pytest.mark.parametrize("above", [6, None])
@pytest.mark.parametrize("most", [1, 2, 4])
def test_what_is_projected_is_the_same_in_however_many_parts(most: int, above: int | None) -> None:
    whole = replace(WHOLE, above=above)
    told = in_parts(whole, most)
    assert len(told) == -(-5 // most)
    assert all(len({row.holding for row in part.confirmed} | set(part.passed.followed)) <= most for part in told)  # type: ignore[union-attr]
    assert rows(fold(commits(*([part] for part in told), [DIFFERS]))) == rows(fold(commits([whole, DIFFERS])))


@pytest.mark.parametrize("most", [1, 2, 4])
def test_so_is_what_is_known_of_those_below(most: int) -> None:
    facts: tuple[Fact, ...] = (*in_parts(WHOLE, most), DIFFERS)
    assert later_than(5, commits(facts)[1:]) == later_than(5, commits((WHOLE, DIFFERS))[1:])


def test_of_a_hundred_thousand_balances_each_commit_is_small() -> None:
    many = tuple(Holding(USDC, solver_at(index)) for index in range(100_000))
    whole = replace(
        WHOLE,
        confirmed=tuple(Confirmed(holding, 1, INFO) for holding in many),
        passed=Passed(head_at(6).ref, many, many),
    )
    told = list(parts((*in_parts(whole), DIFFERS), 5_000))
    assert len(told) >= 5
    held = [sum(len(fact.confirmed) for fact in part if isinstance(fact, StreamResync)) for part in told]
    assert sum(held) == 100_000
    assert max(held) <= 20_000


def test_a_restart_goes_on_below_the_cut_that_an_earlier_part_told_of() -> None:
    """The blocks above it are of the branch that is gone; only the last part says which one is followed now."""
    heads = tuple(head_at(number) for number in range(4, 11))
    newest = head_at(12, "b")
    *first, last = commits(*([part] for part in in_parts(WHOLE, 2)), [DIFFERS])[1:]
    told = [*first, replace(last, checkpoint=Checkpoint(newest))]
    assert continued(heads, told) == (*heads[:3], newest)
