"""How far a deep reorg reaches, asked of nodes that do not agree."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, repeat

import pytest

from actors.chains.reorgs.parting import canonical_floor
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding, KnownBlock
from indexer.domain.following.views import Readings
from indexer.errors import BadAnswer


def branch(fork: str, parted: int, length: int) -> tuple[Head, ...]:
    """Blocks 0 to `length`, of which those above `parted` are the fork's own."""

    def name(number: int) -> BlockHash:
        return BlockHash(f"0x{fork if number > parted else 'main'}{number}")

    return tuple(Head(number, name(number), name(number - 1), number) for number in range(length + 1))


class TwoNodes:
    """A load balancer: each question is answered by the next of these."""

    def __init__(self, answers: Iterator[Sequence[Head]]) -> None:
        self._answers = answers

    async def headers(self, first: int, last: int) -> tuple[Head, ...]:
        return tuple(next(self._answers)[first : last + 1])

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
        raise NotImplementedError


class Rows:
    """Records at blocks of the branch that was left, which were heard, and at others, which were filled in."""

    def __init__(self, heard: Sequence[Head], filled: Sequence[Head] = ()) -> None:
        self._heard = [head.ref for head in heard]
        self._stored = sorted([*self._heard, *(head.ref for head in filled)], key=lambda block: block.number)

    async def heard_block(self, number: int) -> BlockRef | None:
        return next((block for block in reversed(self._heard) if block.number <= number), None)

    async def stored_block(self, number: int) -> BlockRef | None:
        return next((block for block in reversed(self._stored) if block.number <= number), None)


OLD, NEW = branch("old", 10, 20), branch("new", 10, 30)
HEARD = [OLD[number] for number in (3, 8, 12, 15)]
RECORDED = Rows(HEARD)


def test_history_stays_up_to_the_highest_canonical_record() -> None:
    assert asyncio.run(canonical_floor(TwoNodes(repeat(NEW)), RECORDED, 16, NEW[-1])) == 11


def test_what_was_filled_in_of_the_new_branch_says_nothing_of_what_was_heard_below_it() -> None:
    """History may be filled while the chain itself has not found out yet, in between records that are orphaned."""
    recorded = Rows(HEARD, [NEW[14]])
    assert asyncio.run(canonical_floor(TwoNodes(repeat(NEW)), recorded, 16, NEW[-1])) == 11


def test_what_was_filled_in_above_the_highest_canonical_record_is_looked_at_as_well() -> None:
    heard = [OLD[number] for number in (3, 15)]
    assert asyncio.run(canonical_floor(TwoNodes(repeat(NEW)), Rows(heard, [OLD[12]]), 16, NEW[-1])) == 11


def test_a_canonical_record_that_only_one_of_two_nodes_knows_is_no_floor() -> None:
    with pytest.raises(BadAnswer, match="reorganised again"):
        asyncio.run(canonical_floor(TwoNodes(chain([OLD], repeat(NEW))), RECORDED, 16, NEW[-1]))
