"""What a node says of a block, and what cannot be said of any."""

from __future__ import annotations

from typing import Any

import pytest

from indexer.clients.evm.asking.answers import head_of
from indexer.clients.evm.transfers.logs import Filters
from indexer.clients.evm.transfers.ranges import moved
from indexer.domain.balances import Watch
from indexer.domain.times import LAST_SECOND
from indexer.errors import BadAnswer

HASH = "0x" + "7a" * 32
NEVER = (LAST_SECOND + 1, 1_790_000_000_000, 2**64, 2**256 - 1)


def header(seconds: int) -> dict[str, Any]:
    return {"number": "0xc", "hash": HASH, "parentHash": "0x" + "79" * 32, "timestamp": hex(seconds)}


def test_the_last_second_that_a_date_can_express_is_taken() -> None:
    assert head_of(header(LAST_SECOND)).timestamp == LAST_SECOND


@pytest.mark.parametrize("seconds", NEVER)
def test_a_header_of_a_later_time_is_no_answer_and_says_so(seconds: int) -> None:
    with pytest.raises(BadAnswer, match=rf"block 12 .*{seconds}.*timestamps are seconds"):
        head_of(header(seconds))


@pytest.mark.parametrize("seconds", NEVER)
def test_a_log_of_a_later_time_is_no_answer_either(seconds: int) -> None:
    log = {"blockNumber": "0xc", "blockHash": HASH, "blockTimestamp": hex(seconds)}
    with pytest.raises(BadAnswer, match=rf"block 12 .*{seconds}"):
        moved([log], 0, 20, Filters(Watch()), {}, {})


@pytest.mark.parametrize("number", [2**63, 2**256 - 1])
def test_a_block_of_a_number_that_nobody_can_store_is_no_answer(number: int) -> None:
    assert head_of({**header(1), "number": hex(2**63 - 1)}).number == 2**63 - 1
    with pytest.raises(BadAnswer, match="not a block's number"):
        head_of({**header(1), "number": hex(number)})
