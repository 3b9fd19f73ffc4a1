"""What a log says, in whatever letters a node writes it."""

from __future__ import annotations

from typing import Any

import pytest

from indexer.clients.evm.asking.calls import Reply
from indexer.clients.evm.transfers.hints import Hints
from indexer.clients.evm.transfers.logs import TRANSFER, Filters, topic_of, transfer_of
from indexer.clients.evm.transfers.missed import Missed
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding, Transfer, TxHash
from indexer.errors import BadAnswer
from tests.actors.fakes import USDC
from tests.fixtures.chain import wallets

ALICE, BOB = wallets(2)
BLOCK = BlockRef(16, BlockHash("0x" + "ab" * 32), 1)
FILTERS = Filters(Watch(frozenset([USDC]), frozenset([ALICE, BOB])))
SENT = Transfer(USDC, ALICE, BOB, 5, BLOCK.hash, TxHash("0x" + "cd" * 32), 7, 16)


def log(**other: Any) -> dict[str, Any]:
    return {
        "address": USDC.lower(),
        "topics": [TRANSFER, topic_of(ALICE), topic_of(BOB)],
        "data": f"0x{5:064x}",
        "blockHash": BLOCK.hash,
        "blockNumber": "0x10",
        "transactionHash": SENT.transaction,
        "logIndex": "0x7",
        **other,
    }


def shouted(said: Any) -> Any:
    """In capitals, but for the x."""
    if isinstance(said, list):
        return [shouted(each) for each in said]
    return said[:2] + said[2:].upper()


def test_a_log_says_the_same_in_capitals() -> None:
    assert transfer_of(log(), BLOCK, FILTERS) == SENT
    assert transfer_of({name: shouted(said) for name, said in log().items()}, BLOCK, FILTERS) == SENT


def test_hints_of_missed_blocks_are_taken_in_capitals_too() -> None:
    hints = Hints()
    nobody: Any = None
    head = Head(16, BLOCK.hash, BlockHash("0x" + "aa" * 32), 1)
    loud = {name: shouted(said) for name, said in log().items()}
    Missed(nobody, hints)._note([head], [Reply([loud])], FILTERS)
    assert hints.of(BLOCK.hash) == {Holding(USDC, ALICE), Holding(USDC, BOB)}


@pytest.mark.parametrize("index", [2**31, 2**256 - 1])
def test_a_log_at_a_place_that_no_block_has_is_no_answer(index: int) -> None:
    with pytest.raises(BadAnswer, match="place"):
        transfer_of(log(logIndex=hex(index)), BLOCK, FILTERS)


@pytest.mark.parametrize("topic", ["0x" + "zz" * 32, "0x12", 7, None])
def test_a_log_that_names_nobody_where_somebody_belongs_is_no_answer(topic: Any) -> None:
    with pytest.raises(BadAnswer, match="not a topic"):
        transfer_of(log(topics=[TRANSFER, topic_of(ALICE), topic]), BLOCK, FILTERS)
