from __future__ import annotations

import re

import pytest

from indexer.clients.evm.asking import phrases
from indexer.clients.evm.asking.wording import LONGEST_WAIT, CallFailed, refusal
from indexer.errors import BlockUnknown, IndexerError, ResponseTooLarge, StateMissing, Throttled
from tests.clients.evm.wordings import WORDINGS


@pytest.mark.parametrize(("source", "code", "text", "meaning"), WORDINGS)
def test_a_refusal_is_understood(source: str, code: int | None, text: str, meaning: type[IndexerError]) -> None:
    assert type(refusal({"code": code, "message": text})) is meaning, source


_TABLE = [line for said in vars(phrases).values() if isinstance(said, tuple) for line in said]


@pytest.mark.parametrize(("who", "pattern"), _TABLE)
def test_each_line_of_the_table_stands_for_a_text_that_was_met(who: str, pattern: str) -> None:
    assert any(re.search(pattern, text.lower()) for _, _, text, _ in WORDINGS), who


@pytest.mark.parametrize(
    ("code", "revert"),
    [
        (-32000, "execution reverted: {}"),
        (-32603, "Error: VM Exception while processing transaction: reverted with reason string '{}'"),
        (-32015, "VM execution error.: revert: {}"),
        (-32016, "The execution failed due to an exception.: Reverted: {}"),
    ],
)
def test_a_revert_is_one_whatever_its_reason_says(code: int, revert: str) -> None:
    reasons = [text for _, _, text, _ in WORDINGS]
    meant = {type(refusal({"code": code, "message": revert.format(reason)})) for reason in reasons}
    assert meant == {CallFailed}


@pytest.mark.parametrize("text", ["limit exceeded", "Limit exceeded.", "nobody has met these words yet"])
def test_a_limit_of_a_range_of_logs_is_its_size_and_of_anything_else_how_often(text: str) -> None:
    error = {"code": -32005, "message": text}
    assert type(refusal(error, of_range=True)) is ResponseTooLarge
    assert type(refusal(error)) is Throttled


@pytest.mark.parametrize(("source", "code", "text", "meaning"), [row for row in WORDINGS if row[0] != "BSC"])
def test_other_words_mean_the_same_of_a_range(
    source: str, code: int | None, text: str, meaning: type[IndexerError]
) -> None:
    assert type(refusal({"code": code, "message": text}, of_range=True)) is meaning, source


def test_a_range_is_told_to_slow_down_where_the_words_are_plain() -> None:
    assert type(refusal({"code": -32005, "message": "rate limit exceeded"}, of_range=True)) is Throttled


def test_a_lost_state_is_no_throttling_though_it_is_told_as_a_limit() -> None:
    error = {"code": -32005, "message": "state recreation l2 gas depth limit exceeded"}
    assert type(refusal(error)) is type(refusal(error, of_range=True)) is StateMissing


def test_the_provider_is_quoted() -> None:
    assert str(refusal({"code": -32005, "message": "limit exceeded"})) == "limit exceeded (-32005)"


@pytest.mark.parametrize(
    "error",
    [
        {"message": "slow down", "data": {"rate": {"allowed_rps": 1, "backoff_seconds": 30}}},
        {"message": "Too many requests, reason: call rate limit exhausted, retry in 30s"},
        {"message": "rate limit exceeded, try again after 30 seconds"},
    ],
)
def test_the_pause_that_a_provider_asks_for_is_taken_from_its_words(error: object) -> None:
    found = refusal(error)
    assert isinstance(found, Throttled)
    assert found.retry_after_seconds == 30


@pytest.mark.parametrize(
    ("data", "seconds"),
    [({"rate": {"backoff_seconds": 10**6}}, LONGEST_WAIT), ({"rate": {"backoff_seconds": "?"}}, None), ({}, None)],
)
def test_a_pause_is_bounded(data: object, seconds: float | None) -> None:
    found = refusal({"message": "rate limited", "data": data})
    assert isinstance(found, Throttled)
    assert found.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://eth.example.com/v2/AbCdEf0123456789", "see https://***"),
        ("dial tcp 10.1.2.3:8545: refused", "dial tcp ***: refused"),
        ("no balance for 0x742D35cC6634c0532925A3b844bc454E4438F44E", "no balance for ***"),
        ("the key 0a1b2c3d4e5f60718293a4b5c6d7e8f9 is not active", "the key *** is not active"),
        ("see wss://user:pass@node.example/ws?key=1 or mail", "see wss://*** or mail"),
        ("eth_getLogs is limited to a 10,000 range", "eth_getLogs is limited to a 10,000 range"),
    ],
)
def test_no_address_and_no_key_is_repeated(text: str, shown: str) -> None:
    assert str(refusal({"message": text})) == shown


def test_the_key_of_our_url_is_not_repeated() -> None:
    found = refusal({"message": "project k3y-of-ours has no credit"}, "https://x.example/v3/k3y-of-ours")
    assert str(found) == "project *** has no credit"


def test_the_reason_may_hide_in_the_data() -> None:
    assert type(refusal({"code": -32603, "message": "internal error", "data": "header not found"})) is BlockUnknown


@pytest.mark.parametrize("error", ["text", 5, [], {}, {"message": None}, {"code": "x", "message": ["?"]}])
def test_an_error_of_any_shape_is_still_an_error(error: object) -> None:
    assert isinstance(refusal(error), IndexerError)


def test_a_page_long_text_is_cut() -> None:
    assert len(str(refusal({"message": "x" * 100_000}))) < 400
