from __future__ import annotations

import pytest

from indexer.clients.evm.wording import CallFailed, GasExhausted, Unsupported, refusal
from indexer.errors import BadAnswer, BlockUnknown, IndexerError, ResponseTooLarge, StateMissing, Throttled


@pytest.mark.parametrize(
    ("code", "text", "meaning"),
    [
        (-32005, "query returned more than 10000 results", ResponseTooLarge),
        (-32602, "Log response size exceeded. You can make requests with a 2K block range", ResponseTooLarge),
        (-32000, "block range is too wide", ResponseTooLarge),
        (-32600, "eth_getLogs is limited to 1024 blocks", ResponseTooLarge),
        (-32000, "exceed maximum block range: 5000", ResponseTooLarge),
        (-32005, "query exceeds max results 20000, retry with the range 1-2", ResponseTooLarge),
        (-32602, "query exceeds max block range 100000", ResponseTooLarge),
        (-32602, "exceed max addresses or topics per search position", ResponseTooLarge),
        (-32600, "batch too large", ResponseTooLarge),
        (-32600, "Batch size too large", ResponseTooLarge),
        (-32010, "too many requests in a batch", ResponseTooLarge),
        (-32003, "response too large", ResponseTooLarge),
        (-32008, "Response is too big", ResponseTooLarge),
        (-32000, "request entity too large", ResponseTooLarge),
        (-32000, "out of gas", GasExhausted),
        (-32603, "EVM error OutOfGas", GasExhausted),
        (-32000, "gas required exceeds allowance (50000000)", GasExhausted),
        (-32000, "execution aborted (timeout = 5s)", GasExhausted),
        (-32002, "request timed out", GasExhausted),
        (-32000, "header not found", BlockUnknown),
        (-32000, "unknown block", BlockUnknown),
        (-32001, "Resource not found", BlockUnknown),
        (-32000, "header for hash not found", BlockUnknown),
        (-32000, "hash 0x12 is not currently canonical", BlockUnknown),
        (-32001, "block not found: 0xabc", BlockUnknown),
        (-39001, "Unknown block", BlockUnknown),
        (-32602, "BlockOutOfRangeError: block height is 5 but requested was 9", BlockUnknown),
        (-32000, "One of the blocks specified in filter cannot be found.", BlockUnknown),
        (-32000, "missing trie node 0x1 (path ) state 0x2 is not available", StateMissing),
        (-32000, "required historical state unavailable (reexec=128)", StateMissing),
        (-32000, "No state available for block 0x12", StateMissing),
        (4444, "pruned history unavailable", StateMissing),
        (-32000, "old data not available due to pruning", StateMissing),
        (-32000, "distance to target block exceeds maximum proof window", StateMissing),
        (-32000, "World state unavailable", StateMissing),
        (429, "Your app has exceeded its compute units per second capacity", Throttled),
        (-32005, "limit exceeded", Throttled),
        (-32005, "daily request count exceeded, request rate limited", Throttled),
        (-32001, "unable to complete request at this time", Throttled),
        (-32016, "over rate limit", Throttled),
        (-32097, "Too many requests, please slow down", Throttled),
        (-32000, "rate-limited", Throttled),
        (3, "execution reverted: header not found", CallFailed),
        (-32000, "execution reverted", CallFailed),
        (-32015, "VM execution error.", CallFailed),
        (-32000, "invalid opcode: INVALID", CallFailed),
        (-32603, "EVM error InvalidFEOpcode", CallFailed),
        (-32601, "the method eth_foo does not exist/is not available", Unsupported),
        (-32602, "too many arguments, want at most 2", Unsupported),
        (-32602, "invalid params", Unsupported),
        (-32603, "internal error", BadAnswer),
        (None, "something nobody has met yet", BadAnswer),
    ],
)  # fmt: skip
def test_a_refusal_is_understood(code: int | None, text: str, meaning: type[IndexerError]) -> None:
    understood = refusal({"code": code, "message": text})
    assert type(understood) is meaning
    assert text in str(understood)


def test_the_reason_may_hide_in_the_data() -> None:
    assert type(refusal({"code": -32603, "message": "internal error", "data": "header not found"})) is BlockUnknown


@pytest.mark.parametrize("error", ["text", 5, [], {}, {"message": None}, {"code": "x", "message": ["?"]}])
def test_an_error_of_any_shape_is_still_an_error(error: object) -> None:
    assert isinstance(refusal(error), IndexerError)


def test_a_page_long_text_is_cut() -> None:
    assert len(str(refusal({"message": "x" * 100_000}))) < 400
