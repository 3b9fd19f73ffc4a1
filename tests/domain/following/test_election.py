"""Whose chain is followed, where endpoints disagree and nothing is known yet."""

from __future__ import annotations

import pytest

from indexer.domain.chain import BlockHash, ChainIdentity
from indexer.domain.following.election import elect

OURS, THEIRS, THIRD = [ChainIdentity(1, BlockHash(f"0x{letter * 64}")) for letter in "abc"]


@pytest.mark.parametrize(
    ("voices", "chosen", "by", "others"),
    [
        ([OURS], OURS, "majority", []),
        ([OURS, OURS], OURS, "majority", []),
        ([THEIRS, OURS, OURS], OURS, "majority", ["e0"]),
        ([THEIRS, OURS, THIRD, OURS], OURS, "majority", ["e0", "e2"]),
        ([OURS, THEIRS], OURS, "preference", ["e1"]),
        ([THEIRS, OURS, OURS, THEIRS], THEIRS, "preference", ["e1", "e2"]),
        ([THIRD, OURS, THEIRS, OURS, THEIRS], OURS, "preference", ["e0", "e2", "e4"]),
    ],
)
def test_most_decide_and_of_as_many_the_preferred(
    voices: list[ChainIdentity], chosen: ChainIdentity, by: str, others: list[str]
) -> None:
    elected = elect({f"e{place}": voice for place, voice in enumerate(voices)})
    assert (elected.identity, elected.by, sorted(elected.others)) == (chosen, by, others)
