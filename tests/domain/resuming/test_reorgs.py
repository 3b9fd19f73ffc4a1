"""What a reorg takes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.chain import Head, Holding
from indexer.domain.following.headchain import HeadChain
from indexer.domain.resuming.reorgs import affected, common_ancestor, left_doubtful, left_unread, replaced, reverts
from indexer.domain.telling.facts import Orphaned
from tests.domain.samples import DAI, INFO, USDC, block_at, block_hash, head_at, holding, transfer, updated, wallet


def branch(first: int, last: int, fork: str, parent_fork: str) -> tuple[Head, ...]:
    return tuple(head_at(n, fork, parent_fork if n == first else fork) for n in range(first, last + 1))


@given(st.integers(0, 20), st.integers(0, 10), st.integers(0, 10), st.integers(1, 40))
def test_the_common_ancestor_is_the_block_where_the_branches_part(
    parting: int, ours: int, theirs: int, window: int
) -> None:
    trunk = tuple(head_at(number) for number in range(parting + 1))
    known = HeadChain(window)
    for head in (*trunk, *branch(parting + 1, parting + ours, "b", "a")):
        known = known.extend(head)
    canonical = (*trunk, *branch(parting + 1, parting + theirs, "c", "a"))
    assert common_ancestor(known, canonical) == (trunk[-1] if ours < window else None)


def test_an_ancestor_is_found_across_holes_in_what_was_kept() -> None:
    known = HeadChain(8, (head_at(1), head_at(5), head_at(9, "b")))
    assert common_ancestor(known, [head_at(number) for number in range(4, 10)]) == head_at(5)
    assert common_ancestor(known, [head_at(number) for number in range(6, 10)]) is None


def test_only_a_block_at_our_own_height_on_a_block_of_ours_replaces_just_the_newest() -> None:
    known = HeadChain(8, tuple(head_at(number) for number in range(1, 6)))
    assert replaced(known, head_at(5, "b", "a")) == head_at(4)
    assert replaced(known, head_at(4, "b", "a")) is None
    assert replaced(known, head_at(5, "b")) is None
    assert replaced(known, head_at(6, "b", "a")) is None
    assert replaced(HeadChain(8, (head_at(3), head_at(5))), head_at(5, "b", "a")) is None


def test_one_retraction_per_balance_tells_its_orphans_newest_first() -> None:
    native, dai = holding(0), holding(1, DAI)
    orphaned = (updated(5, 7, 1, who=native), updated(5, 3, 3, who=dai), updated(6, 9, 7, who=native))
    balances, at_ancestor = {native: 9, dai: 3}, {native: 1, dai: 3}
    told = reverts(orphaned, balances, at_ancestor, block_at(4))
    assert [fact.holding for fact in told] == sorted([native, dai])
    first = next(fact for fact in told if fact.holding == native)
    assert (first.previous, first.balance, first.block, first.info, first.chain_id) == (9, 1, block_at(4), INFO, 1)
    assert first.orphaned == (Orphaned(6, block_hash(6), 9), Orphaned(5, block_hash(5), 7))
    assert affected(orphaned) == {native, dai}


@given(st.none() | st.integers(0, 3), st.integers(0, 3))
def test_what_holds_at_the_ancestor_is_kept_as_a_record_only_where_history_does_not_say_it(
    before: int | None, at_ancestor: int
) -> None:
    (fact,) = reverts([updated(5, 7, before)], {holding(): 7}, {holding(): at_ancestor}, block_at(4))
    assert fact.anchor == (before != at_ancestor)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(5, 9), st.integers(0, 9)), max_size=20))
def test_every_orphaned_record_is_told_once_and_nothing_else_is(rows: list[tuple[int, int, int]]) -> None:
    orphaned = [updated(number, value, 0, who=holding(who)) for who, number, value in sorted(rows, key=lambda r: r[1])]
    balances: dict[Holding, int] = {row.holding: row.balance for row in orphaned}
    told = reverts(orphaned, balances, dict.fromkeys(balances, 0), block_at(4))
    assert {fact.holding for fact in told} == affected(orphaned)
    assert sorted((fact.holding, row.number, row.balance) for fact in told for row in fact.orphaned) == sorted(
        (row.holding, row.block.number, row.balance) for row in orphaned
    )
    assert all(fact.previous == balances[fact.holding] for fact in told)


def test_nothing_orphaned_is_nothing_told() -> None:
    assert reverts((), {}, {}, block_at(4)) == ()


LATE, EARLY = transfer(wallet(9), wallet(0), number=9), transfer(wallet(9), wallet(0), number=7)


@pytest.mark.parametrize(
    ("record", "is_read", "is_doubtful"),
    [
        ({"cause": "sync", "unexplained": 1}, True, False),
        ({"cause": "sync", "unexplained": 0, "transfers": (LATE,)}, True, False),
        ({"cause": "sync", "unexplained": 0, "transfers": (EARLY, LATE)}, True, True),
        ({"cause": "sync", "unexplained": None}, True, True),
        ({"cause": "sync", "unexplained": 0, "apart": True}, True, True),
        ({"cause": "sync", "unexplained": None, "holding": holding(0)}, True, False),
        ({"cause": "sync", "unexplained": 0, "previous": 8}, False, False),
        ({"cause": "transfer", "unexplained": 0, "transfers": (EARLY, LATE)}, False, False),
    ],
)
def test_what_was_found_by_reading_is_read_again_and_in_doubt_where_all_was_not_known_before(
    record: dict[str, Any], is_read: bool, is_doubtful: bool
) -> None:
    update = replace(updated(9, 8, 7, who=holding(0, USDC)), **record)
    values = {update.holding: update.previous or 0}
    facts = reverts([update], {update.holding: 8}, values, block_at(8))
    assert (update.holding in left_unread([update], facts)) == is_read
    assert (update.holding in left_doubtful([update], facts)) == is_doubtful
