"""How sure a block is: by tags that may lie, or by depth; never less than before."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.chain import Head
from indexer.domain.following.finality import FINALIZED_DEPTH, SAFE_DEPTH, Settled, Tags, settle
from indexer.domain.following.headchain import HeadChain
from tests.domain.samples import block_hash, head_at

KNOWN = HeadChain(16, tuple(head_at(number) for number in range(100, 111)))
NONE = Tags(None, None)
NUMBERS = st.integers(80, 120)
HEADS = st.none() | st.builds(head_at, NUMBERS, st.sampled_from("ab"))


@given(st.lists(st.builds(Tags, HEADS, HEADS), max_size=8))
def test_numbers_only_rise_stay_below_the_tip_and_keep_their_order(answers: list[Tags]) -> None:
    now = Settled()
    for tags in answers:
        then = settle(now, KNOWN, tags, tags, None)
        assert now.safe <= then.safe <= 110
        assert now.finalized <= then.finalized <= then.safe
        now = then


def test_a_tag_is_taken_at_its_word_as_far_as_we_can_tell() -> None:
    assert settle(Settled(), KNOWN, Tags(head_at(107), head_at(90)), NONE, None) == Settled(107, 90)


def test_a_tag_on_another_branch_or_beyond_our_tip_changes_nothing() -> None:
    fork, beyond = head_at(105, "b"), head_at(111)
    assert settle(Settled(9, 8), KNOWN, Tags(fork, beyond), NONE, None) == Settled(9, 8)


def test_depth_counts_only_where_no_tag_was_ever_given() -> None:
    deep = Settled(110 - SAFE_DEPTH, 110 - FINALIZED_DEPTH)
    assert settle(Settled(), KNOWN, NONE, NONE, None) == deep
    assert settle(Settled(50, 40), KNOWN, NONE, Tags(head_at(50), head_at(40)), None) == Settled(50, 40)
    assert settle(Settled(), KNOWN, Tags(None, head_at(104)), NONE, None) == Settled(104, 104)


def test_nothing_is_settled_before_the_first_block() -> None:
    assert settle(Settled(), HeadChain(8), NONE, NONE, None) == Settled()
    young = HeadChain(8, (replace(head_at(3), hash=block_hash(3)),))
    assert settle(Settled(), young, NONE, NONE, None) == Settled()


def test_levels_are_told_by_number() -> None:
    settled = Settled(7, 5)
    assert [settled.level(number) for number in (5, 6, 7, 8)] == ["finalized", "safe", "safe", "latest"]
    assert [settled.at_least("safe", number) for number in (5, 7, 8)] == ["finalized", "safe", "safe"]
    assert settled.up_to(6) == Settled(6, 5)


def test_a_head_that_is_not_ours_is_not_in_the_way() -> None:
    stranger: Head = head_at(111, "b")
    assert settle(Settled(), KNOWN, Tags(stranger, stranger), Tags(stranger, stranger), None) == Settled()


def test_a_tag_that_we_cannot_check_is_believed_only_below_a_block_that_is_the_nodes_and_ours() -> None:
    below = Tags(head_at(90), head_at(80), head_at(105))
    assert settle(Settled(), KNOWN, below, NONE, head_at(105)) == Settled(90, 80)
    assert settle(Settled(), KNOWN, Tags(head_at(104), head_at(103)), NONE, head_at(105, "b")) == Settled(104, 103)


def test_a_tag_that_we_cannot_check_is_not_believed_when_one_of_us_has_left_the_others_branch() -> None:
    ours, other = head_at(105), head_at(105, "b")
    for theirs, asked in ((other, ours), (None, ours), (other, other)):
        assert settle(Settled(9, 8), KNOWN, Tags(head_at(90), head_at(80), theirs), NONE, asked) == Settled(9, 8)


def test_between_blocks_that_we_know_nothing_is_believed_above_the_one_that_was_asked_for() -> None:
    holed = HeadChain(16, tuple(head for head in KNOWN.heads if head.number not in (107, 108)))
    tags = Tags(head_at(107), head_at(90), head_at(105))
    assert settle(Settled(), holed, tags, NONE, head_at(105)) == Settled(90, 90)


def test_in_a_hole_the_next_block_says_who_its_parent_is() -> None:
    holed = HeadChain(16, tuple(head for head in KNOWN.heads if head.number != 104))
    assert settle(Settled(), holed, Tags(head_at(104, "b"), None), NONE, None).safe != 104
    assert settle(Settled(), holed, Tags(head_at(104), head_at(103)), NONE, head_at(1, "b")) == Settled(104, 103)
