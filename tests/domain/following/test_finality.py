"""How sure a block is: by tags that may lie, or by depth; never less than before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.chain import Head
from indexer.domain.following.finality import (
    FEW_ANSWERS,
    FINALIZED_DEPTH,
    SAFE_DEPTH,
    Hearing,
    Level,
    Settled,
    Tags,
    settle,
)
from indexer.domain.following.headchain import HeadChain
from tests.domain.samples import block_hash, head_at

KNOWN = HeadChain(16, tuple(head_at(number) for number in range(100, 111)))
NONE = Tags(None, None)
BOTH: frozenset[Level] = frozenset(("safe", "finalized"))
SAFE: frozenset[Level] = frozenset(("safe",))
NUMBERS = st.integers(80, 120)
HEADS = st.none() | st.builds(head_at, NUMBERS, st.sampled_from("ab"))


@given(st.lists(st.builds(Tags, HEADS, HEADS), max_size=8))
def test_numbers_only_rise_stay_below_the_tip_and_keep_their_order(answers: list[Tags]) -> None:
    now = Settled()
    for tags in answers:
        then = settle(now, KNOWN, tags, (), None)
        assert now.safe <= then.safe <= 110
        assert now.finalized <= then.finalized <= then.safe
        now = then


def test_a_tag_is_taken_at_its_word_as_far_as_we_can_tell() -> None:
    assert settle(Settled(), KNOWN, Tags(head_at(107), head_at(90)), (), None) == Settled(107, 90)


def test_a_tag_on_another_branch_or_beyond_our_tip_changes_nothing() -> None:
    fork, beyond = head_at(105, "b"), head_at(111)
    assert settle(Settled(9, 8), KNOWN, Tags(fork, beyond), (), None) == Settled(9, 8)


def test_where_a_tag_is_missing_depth_counts_if_it_may() -> None:
    deep = Settled(110 - SAFE_DEPTH, 110 - FINALIZED_DEPTH)
    assert settle(Settled(), KNOWN, NONE, BOTH, None) == deep
    assert settle(Settled(), KNOWN, NONE, SAFE, None) == Settled(deep.safe, -1)
    assert settle(Settled(50, 40), KNOWN, NONE, (), None) == Settled(50, 40)
    assert settle(Settled(), KNOWN, Tags(None, head_at(104)), SAFE, None) == Settled(104, 104)


def hearing(*answers: bool | None) -> Hearing:
    """Of true tags, of untrue ones, and of none."""
    heard = Hearing()
    for answer in answers:
        heard = heard.after(head_at(90) if answer else None, untrue=answer is False)
    return heard


@pytest.mark.parametrize("answer", [None, False], ids=["missing", "untrue"])
def test_a_tag_is_hopeless_once_it_was_missing_in_each_of_some_answers(answer: bool | None) -> None:
    for heard in (hearing(answer), hearing(*[answer] * (FEW_ANSWERS - 1))):
        assert (heard.is_open, heard.is_hopeless) == (True, False)
    heard = hearing(*[answer] * FEW_ANSWERS)
    assert (heard.is_open, heard.is_hopeless) == (False, True)


def test_one_true_tag_in_a_while_is_enough_to_hope_for_more() -> None:
    """Several nodes behind one address, most of which are not up to it."""
    heard = hearing(*([False] * (FEW_ANSWERS - 1) + [True]), *([False, None] * FEW_ANSWERS + [True]) * 20)
    assert not heard.is_hopeless
    assert not heard.after(None, untrue=True).is_hopeless


def test_a_tag_that_was_told_may_be_missing_for_ever_but_not_untrue_for_ever() -> None:
    assert not hearing(True, *[None] * 10_000).is_hopeless
    assert hearing(True, *[False] * 100).is_hopeless
    assert not hearing(True, *[False] * 100, True).is_hopeless


def test_nothing_is_settled_before_the_first_block() -> None:
    assert settle(Settled(), HeadChain(8), NONE, BOTH, None) == Settled()
    young = HeadChain(8, (replace(head_at(3), hash=block_hash(3)),))
    assert settle(Settled(), young, NONE, BOTH, None) == Settled()


def test_levels_are_told_by_number() -> None:
    settled = Settled(7, 5)
    assert [settled.level(number) for number in (5, 6, 7, 8)] == ["finalized", "safe", "safe", "latest"]
    assert [settled.at_least("safe", number) for number in (5, 7, 8)] == ["finalized", "safe", "safe"]
    assert settled.up_to(6) == Settled(6, 5)


def test_a_head_that_is_not_ours_is_not_in_the_way() -> None:
    stranger: Head = head_at(111, "b")
    assert settle(Settled(), KNOWN, Tags(stranger, stranger), (), None) == Settled()


def test_a_tag_that_we_cannot_check_is_believed_only_below_a_block_that_is_the_nodes_and_ours() -> None:
    below = Tags(head_at(90), head_at(80), head_at(105))
    assert settle(Settled(), KNOWN, below, (), head_at(105)) == Settled(90, 80)
    assert settle(Settled(), KNOWN, Tags(head_at(104), head_at(103)), (), head_at(105, "b")) == Settled(104, 103)


def test_a_tag_that_we_cannot_check_is_not_believed_when_one_of_us_has_left_the_others_branch() -> None:
    ours, other = head_at(105), head_at(105, "b")
    for theirs, asked in ((other, ours), (None, ours), (other, other)):
        assert settle(Settled(9, 8), KNOWN, Tags(head_at(90), head_at(80), theirs), (), asked) == Settled(9, 8)


def test_between_blocks_that_we_know_nothing_is_believed_above_the_one_that_was_asked_for() -> None:
    holed = HeadChain(16, tuple(head for head in KNOWN.heads if head.number not in (107, 108)))
    tags = Tags(head_at(107), head_at(90), head_at(105))
    assert settle(Settled(), holed, tags, (), head_at(105)) == Settled(90, 90)


def test_in_a_hole_the_next_block_says_who_its_parent_is() -> None:
    holed = HeadChain(16, tuple(head for head in KNOWN.heads if head.number != 104))
    assert settle(Settled(), holed, Tags(head_at(104, "b"), None), (), None).safe != 104
    assert settle(Settled(), holed, Tags(head_at(104), head_at(103)), (), head_at(1, "b")) == Settled(104, 103)
