"""How far a deep reorg reaches, asked of nodes that do not agree."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, repeat

import pytest

from actors.chains.repair import canonical_floor
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding
from indexer.domain.views import Readings
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

    async def read(self, wanted: Mapping[BlockHash, Collection[Holding]]) -> dict[BlockHash, Readings]:
        raise NotImplementedError


class Rows:
    """Records at blocks of the branch that was left."""

    def __init__(self, heads: Sequence[Head], numbers: Collection[int]) -> None:
        self._blocks = [heads[number].ref for number in sorted(numbers)]

    async def stored_block(self, number: int) -> BlockRef | None:
        return next((block for block in reversed(self._blocks) if block.number <= number), None)


OLD, NEW = branch("old", 10, 20), branch("new", 10, 30)
RECORDED = Rows(OLD, (3, 8, 12, 15))


def test_history_stays_up_to_the_highest_canonical_record() -> None:
    assert asyncio.run(canonical_floor(TwoNodes(repeat(NEW)), RECORDED, 16, NEW[-1])) == 11


def test_a_canonical_record_that_only_one_of_two_nodes_knows_is_no_floor() -> None:
    with pytest.raises(BadAnswer, match="reorganised again"):
        asyncio.run(canonical_floor(TwoNodes(chain([OLD], repeat(NEW))), RECORDED, 16, NEW[-1]))
