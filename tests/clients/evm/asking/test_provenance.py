"""What a read says of the block that it was answered for, held against the block asked for."""

from __future__ import annotations

import pytest

from indexer.clients.evm.asking.provenance import Fact, contradictions, proven
from indexer.domain.chain import BlockHash, BlockRef, Head, KnownBlock

PARENT, OWN, NEXT, OLDER = (BlockHash("0x" + digit * 64) for digit in "1234")
HEAD = Head(7, OWN, PARENT, 70)


def facts(number: int = 7, timestamp: int = 70, parent: str = PARENT, below: str = PARENT, own: str = OLDER) -> bytes:
    """As the program returns them; without other words, those of `HEAD`."""
    return b"".join(
        (number.to_bytes(32), timestamp.to_bytes(32), *(bytes.fromhex(each[2:]) for each in (parent, below, own)))
    )


UNKEPT = "0x" + "0" * 64


@pytest.mark.parametrize("block", [HEAD, HEAD.ref])
def test_the_block_s_own_facts_contradict_nothing(block: KnownBlock) -> None:
    assert contradictions(block, facts()) == frozenset()


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (facts(number=8), {"number"}),
        (facts(timestamp=82), {"timestamp"}),
        (facts(own=OWN), {"state"}),
        (facts(below=OLDER), {"state"}),
        (facts(number=8, timestamp=82, parent=OWN, below=PARENT, own=OWN), {"number", "timestamp", "parent", "state"}),
        (facts(number=6, timestamp=58, parent=OLDER, below=UNKEPT), {"number", "timestamp", "parent"}),
    ],
)
def test_what_another_block_has_is_found(raw: bytes, found: set[Fact]) -> None:
    assert contradictions(HEAD, raw) == found
    assert contradictions(HEAD.ref, raw)


def test_the_next_block_s_state_is_found_where_all_else_is_the_block_s_own() -> None:
    """As anvil 1.7.1 answers when it mines between looking up the block and taking the state."""
    assert contradictions(HEAD.ref, facts(own=OWN)) == {"state"}


def test_without_the_parent_s_hash_the_state_is_held_against_what_the_node_takes_for_it() -> None:
    assert contradictions(BlockRef(7, OWN, 70), facts(below=OLDER)) == {"state"}
    assert contradictions(BlockRef(7, OWN, 70), facts(below=OLDER), frozenset(["parent"])) == frozenset()


def test_the_first_block_of_all_may_be_at_another_second_for_a_call() -> None:
    """As anvil 1.7.1 answers while nothing was mined."""
    first = Head(0, OWN, BlockHash(UNKEPT), 70)
    assert contradictions(first, facts(0, 1, UNKEPT, UNKEPT, UNKEPT)) == frozenset()
    assert contradictions(first, facts(1, 82, OWN, UNKEPT, UNKEPT)) == {"number", "parent"}


def test_a_chain_that_keeps_no_hashes_in_its_state_says_nothing_of_it() -> None:
    assert contradictions(HEAD, facts(below=UNKEPT, own=UNKEPT)) == frozenset()
    assert proven(HEAD, facts(below=UNKEPT, own=UNKEPT)) == {"number", "timestamp", "parent"}


def test_a_doubted_fact_says_nothing() -> None:
    assert contradictions(HEAD, facts(number=3, parent=OLDER), frozenset(["number", "parent"])) == frozenset()
    assert contradictions(HEAD, facts(number=3, own=OWN), frozenset(["number"])) == {"state"}


def test_the_first_block_of_a_chain_has_nothing_below_it() -> None:
    first = Head(0, OWN, BlockHash(UNKEPT), 0)
    assert contradictions(first, facts(0, 0, UNKEPT, UNKEPT, UNKEPT)) == frozenset()
