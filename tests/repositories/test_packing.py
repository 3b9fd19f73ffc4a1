"""What a backfill keeps of logs, packed."""

from __future__ import annotations

from indexer.domain.history.backfill import Chunk, Moved
from repositories.documents.packing import chunk_document, chunk_of
from tests.domain.samples import block_at, transfer, wallet


def test_a_log_is_the_same_after_it_was_packed_whether_it_says_how_much_or_not() -> None:
    logs = [
        transfer(wallet(0), wallet(1), amount=amount, index=index, number=7)
        for index, amount in enumerate((None, 0, 1, 2**256 - 1))
    ]
    chunk = Chunk(3, 9, tuple(Moved(block_at(7), log) for log in logs))
    assert chunk_of(chunk_document(chunk)) == chunk
