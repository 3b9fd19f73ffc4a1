"""Pieces of what was collected, one of which is being divided."""

from __future__ import annotations

import pytest

from indexer.domain.history.backfill import Chunk, Moved
from repositories.backfills import BackfillBook
from repositories.store import Store
from tests.domain.samples import USDC, block_at, holding, transfer, wallet

HELD = holding(1, USDC)


def _chunk(first: int, last: int, *numbers: int) -> Chunk:
    moved = tuple(Moved(block_at(n), transfer(wallet(9), wallet(1), number=n)) for n in numbers)
    return Chunk(first, last, moved, {number: {HELD: number} for number in numbers})


@pytest.mark.parametrize("newest_first", [True, False])
async def test_where_pieces_overlap_the_one_that_begins_higher_counts(store: Store, newest_first: bool) -> None:
    book: BackfillBook = store.backfills
    for chunk in (_chunk(0, 9, 3), _chunk(10, 30, 12, 25), _chunk(20, 30, 22, 25)):
        await book.put("job", chunk)
    found = [chunk async for chunk in book.chunks("job", newest_first=newest_first)]
    expected = [_chunk(0, 9, 3), _chunk(10, 19, 12), _chunk(20, 30, 22, 25)]
    assert found == (expected[::-1] if newest_first else expected)
