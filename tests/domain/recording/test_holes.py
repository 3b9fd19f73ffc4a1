"""What is left of a hole in history, once it is filled or a reorg reached into it."""

from __future__ import annotations

import pytest

from indexer.domain.recording.holes import Hole, Rejoined
from tests.domain.samples import USDC, holding

OURS = holding(0, USDC)


@pytest.mark.parametrize(
    ("hole", "left"),
    [
        (Hole(10, 14), Hole(10, 14)),
        (Hole(10, 15), Hole(10, 20)),
        (Hole(14, 16), Hole(14, 20)),
        (Hole(16, 18), Hole(15, 20)),
        (Hole(10, 13), Hole(10, 13)),
    ],
)
def test_a_hole_that_ended_above_the_ancestor_ends_where_the_chain_is_followed_again(hole: Hole, left: Hole) -> None:
    assert Rejoined(1, OURS, above=14, number=20, seq=9).left_of(hole) == left


def test_where_the_records_of_all_are_cut_off_every_hole_goes_on_up_to_where_all_were_read_again() -> None:
    cut = Rejoined(1, None, above=14, number=20, seq=9)
    assert (cut.left_of(Hole(10, 14)), cut.left_of(Hole(16, 18))) == (Hole(10, 20), Hole(15, 20))


def test_nothing_is_left_where_the_chain_is_followed_from_the_next_block_on() -> None:
    assert Rejoined(1, OURS, above=14, number=15, seq=9).left_of(Hole(16, 18)) is None


def test_a_hole_is_filled_from_its_first_block_on_or_from_the_first_that_is_wanted() -> None:
    hole = Hole(10, 20)
    assert [hole.below(first, None) for first in (9, 10, 11)] == [None, None, Hole(10, 11)]
    assert [hole.below(15, covered) for covered in (14, 15, 16)] == [Hole(10, 15), None, None]
