"""What a new head means: on random trees of forks, every head has exactly one meaning, and it is the right one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.chain import BlockHash, Head
from indexer.domain.following.headchain import (
    Extended,
    HeadChain,
    Known,
    Missed,
    Outcome,
    Reorged,
    advance,
    block_seconds,
    is_linked,
)
from tests.domain.samples import block_hash, head_at


@dataclass(frozen=True)
class Tree:
    """Blocks that grew from one genesis; `known` is a path in it that we followed, cut to a window."""

    heads: tuple[Head, ...]
    known: HeadChain
    path: tuple[Head, ...]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    heads = [Head(0, BlockHash("0x" + "0" * 64), BlockHash("0x" + "f" * 64), 0)]
    for index in range(1, draw(st.integers(1, 25))):
        parent = heads[draw(st.integers(max(0, len(heads) - 6), len(heads) - 1))]
        heads.append(Head(parent.number + 1, BlockHash(f"0x{index:064x}"), parent.hash, parent.timestamp + 1))
    by_hash = {head.hash: head for head in heads}
    path = [draw(st.sampled_from(heads))]
    while path[0].parent in by_hash:
        path.insert(0, by_hash[path[0].parent])
    known = HeadChain(draw(st.integers(1, 30)))
    for head in path:
        known = known.extend(head)
    return Tree(tuple(heads), known, tuple(path))


@given(trees(), st.data())
def test_every_head_means_exactly_what_its_place_in_the_tree_says(tree: Tree, data: st.DataObject) -> None:
    head = data.draw(st.sampled_from(tree.heads))
    tip = tree.path[-1]
    outcome = advance(tree.known, head)
    assert outcome == _meaning(tree, head, tip)
    assert tree.known.tip == tip


def _meaning(tree: Tree, head: Head, tip: Head) -> Outcome:
    """Told from the whole tree, which `advance` does not see."""
    if head in tree.path[-tree.known.depth :]:
        return Known()
    if head.parent == tip.hash:
        return Extended()
    if head.number > tip.number + 1:
        return Missed(tip.number + 1, head.number)
    return Reorged()


@given(trees(), st.data())
def test_extending_by_what_extends_keeps_one_unbroken_chain_within_the_window(tree: Tree, data: st.DataObject) -> None:
    known = HeadChain(tree.known.depth)
    for head in data.draw(st.lists(st.sampled_from(tree.heads), max_size=60)):
        if isinstance(advance(known, head), Extended):
            known = known.extend(head)
        assert is_linked(None, known.heads)
        assert len(known.heads) <= known.depth


@given(trees(), st.data())
def test_a_cut_leaves_the_ancestor_as_tip_and_what_was_above_it_is_the_rest(tree: Tree, data: st.DataObject) -> None:
    ancestor = data.draw(st.sampled_from(tree.known.heads))
    kept = tree.known.cut(ancestor.hash)
    assert kept.tip == ancestor
    assert kept.heads + tree.known.above(ancestor.hash) == tree.known.heads
    assert tree.known.find(ancestor.hash) == tree.known.at(ancestor.number) == ancestor


@given(trees(), st.data())
def test_heads_are_linked_exactly_when_each_is_the_child_of_the_one_before(tree: Tree, data: st.DataObject) -> None:
    run = tuple(data.draw(st.lists(st.sampled_from(tree.heads), max_size=4)))
    parent = data.draw(st.none() | st.sampled_from(tree.heads))
    chain = (parent, *run) if parent is not None else run
    assert is_linked(parent, run) == all(below.hash == above.parent for below, above in pairwise(chain))


def test_the_first_head_ever_extends() -> None:
    assert advance(HeadChain(4), head_at(1_000)) == Extended()
    assert HeadChain(4).tip is None


def test_the_tip_again_is_known_and_moves_nothing() -> None:
    assert advance(HeadChain(4, (head_at(1), head_at(2))), head_at(2)) == Known()


def test_the_missed_range_ends_with_the_head_itself() -> None:
    assert advance(HeadChain(4, (head_at(7),)), head_at(9)) == Missed(8, 9)


def test_another_block_at_our_height_and_another_child_height_are_reorgs() -> None:
    known = HeadChain(4, (head_at(1), head_at(2)))
    assert advance(known, head_at(2, "b", "a")) == Reorged()
    assert advance(known, head_at(3, "b")) == Reorged()


def test_a_number_that_fits_with_a_parent_that_does_not_is_not_linked() -> None:
    assert not is_linked(head_at(1), (head_at(2, "b"),))
    assert is_linked(head_at(1), ())


def test_a_parent_that_fits_with_a_number_that_does_not_is_not_linked() -> None:
    liar = Head(5, block_hash(5), block_hash(1), 0)
    assert not is_linked(head_at(1), (liar,))


def test_an_ancestor_that_is_not_ours_cannot_be_cut_to() -> None:
    with pytest.raises(ValueError, match="not among the known heads"):
        HeadChain(4, (head_at(1),)).cut(block_hash(9))


def test_holes_do_not_reach_further_back_than_the_window() -> None:
    known = HeadChain(4)
    for number in (1, 2, 5, 8, 9):
        known = known.extend(head_at(number))
    assert [head.number for head in known.heads] == [8, 9]


def test_the_time_between_blocks_is_that_of_most_of_the_newest() -> None:
    """Twelve seconds in the samples; a pause, and blocks that we do not know, make no difference."""
    assert block_seconds(HeadChain(16)) == block_seconds(HeadChain(16, (head_at(1),))) == 0
    late = Head(20, block_hash(20), block_hash(19), head_at(20).timestamp + 3_600)
    heads = (*(head_at(number) for number in (1, 2, 3, 7, 8)), late)
    assert block_seconds(HeadChain(16, heads)) == 12


def test_only_the_newest_blocks_tell_how_long_they_take() -> None:
    slow = [Head(number, block_hash(number), block_hash(number - 1), 100 * number) for number in range(1, 30)]
    quick = [Head(number, block_hash(number), block_hash(number - 1), 2_900 + 2 * number) for number in range(30, 46)]
    assert block_seconds(HeadChain(64, (*slow, *quick))) == 2
    assert block_seconds(HeadChain(64, (*slow, *quick)), newest=45) == 100


def test_what_the_first_block_stands_on_does_not() -> None:
    late = Head(9, block_hash(9), block_hash(8), head_at(8).timestamp + 3_600)
    assert block_seconds(HeadChain(16, (head_at(7), head_at(8), late), roots=7)) == 3_600
    assert block_seconds(HeadChain(16, (head_at(7), head_at(8), late), roots=8)) == 0


@pytest.mark.parametrize(("number", "meaning"), [(12, Missed(11, 12)), (10, Reorged()), (9, Reorged())])
def test_a_head_on_our_tip_under_another_number_is_not_believed_alone(number: int, meaning: Outcome) -> None:
    """One of both is wrong: the blocks are asked for by number, or our chain is compared."""
    known = HeadChain(8).extend(head_at(9)).extend(head_at(10))
    assert advance(known, Head(number, block_hash(77), head_at(10).hash, 1)) == meaning
