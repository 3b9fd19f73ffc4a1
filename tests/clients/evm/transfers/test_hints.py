"""What is kept of the log subscription's words: little, bounded, and enough to tell a transfer from."""

from __future__ import annotations

import sys
from typing import Any

from indexer.clients.evm.transfers.hints import Hints, unpacked
from indexer.domain.chain import BlockHash

BLOCK = BlockHash("0x" + "b" * 64)


def log(index: int, **other: Any) -> dict[str, Any]:
    return {
        "address": "0x" + "1" * 40,
        "topics": ["0x" + "2" * 64, "0x" + "3" * 64, "0x" + "4" * 64],
        "data": "0x" + "5" * 64,
        "blockHash": BLOCK,
        "blockNumber": "0x10",
        "blockTimestamp": "0x60000000",
        "transactionHash": "0x" + "6" * 64,
        "transactionIndex": "0x0",
        "logIndex": hex(index),
        "removed": False,
        **other,
    }


def test_a_kept_log_takes_no_more_than_what_a_transfer_is_made_of() -> None:
    hints = Hints()
    hints.keep(BLOCK, log(7, padding="x" * 5_000))
    ((index, kept),) = hints.logs_of(BLOCK).items()
    assert index == 7
    assert sys.getsizeof(kept) <= 512, "what is larger leaves holes in the heap"
    assert unpacked(BLOCK, kept).items() <= log(7).items()


def test_logs_of_blocks_that_nobody_looks_at_are_forgotten_with_them() -> None:
    hints = Hints()
    for number in range(200):
        block = BlockHash(f"0x{number:064x}")
        hints.keep(block, log(0, blockHash=block))
    kept = [number for number in range(200) if hints.logs_of(BlockHash(f"0x{number:064x}"))]
    assert kept == list(range(72, 200))


def test_a_log_without_a_place_in_its_block_or_of_another_block_is_no_hint() -> None:
    hints = Hints()
    hints.keep(BLOCK, log(0, logIndex="first"))
    hints.keep(BLOCK, log(0, blockHash="0x" + "c" * 64))
    assert not hints.logs_of(BLOCK)
