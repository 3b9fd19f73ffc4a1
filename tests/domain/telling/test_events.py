"""The JSON of every event is exactly what docs/api.md shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import orjson
import pytest

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, TokenInfo
from indexer.domain.telling.commits import Commit, Event
from indexer.domain.telling.events import EVENT_TYPES, event_json, fact_json
from indexer.domain.telling.facts import (
    BalanceReverted,
    ChainFact,
    ChainFinalized,
    Fact,
    HistoryFilled,
    HistoryRow,
    Orphaned,
    StreamLive,
    StreamResync,
    StreamStale,
)
from indexer.domain.times import time_text, unix_text
from tests.domain.samples import DAI, INFO, UINT256, USDC, block_at, block_hash, holding, tx, updated, wallet

TIME = datetime(2026, 11, 21, 1, 2, 3, 456_000, UTC)

UPDATED = BalanceUpdated(1, holding(0, USDC), 5, 7, block_at(123), "transfer", INFO, (tx(1), tx(2)))
UPDATED_JSON = {
    "chainId": 1,
    "tokenAddress": USDC,
    "solverAddress": wallet(0),
    "previousBalance": "5",
    "newBalance": "7",
    "changeAmount": "2",
    "amount": "0.000007",
    "decimals": 6,
    "tokenSymbol": "USDC",
    "blockNumber": 123,
    "blockHash": block_hash(123),
    "transactionHash": tx(2),
    "cause": "transfer",
    "finality": "latest",
}
REVERTED = BalanceReverted(
    1, holding(0), 9, 7, block_at(4), INFO, (Orphaned(6, block_hash(6), 9), Orphaned(5, block_hash(5), 8))
)
REVERTED_JSON = {
    "chainId": 1,
    "tokenAddress": NATIVE,
    "solverAddress": wallet(0),
    "previousBalance": "9",
    "newBalance": "7",
    "changeAmount": "-2",
    "amount": "0.000007",
    "decimals": 6,
    "tokenSymbol": "USDC",
    "blockNumber": 4,
    "blockHash": block_hash(4),
    "orphaned": [
        {"blockNumber": 6, "blockHash": block_hash(6), "balance": "9"},
        {"blockNumber": 5, "blockHash": block_hash(5), "balance": "8"},
    ],
}
FACTS: list[tuple[Fact, str, dict[str, Any]]] = [
    (UPDATED, "balance.updated", UPDATED_JSON),
    (REVERTED, "balance.reverted", REVERTED_JSON),
    (
        ChainFinalized(1, block_at(3), "safe"),
        "chain.finalized",
        {"chainId": 1, "blockNumber": 3, "blockHash": block_hash(3), "level": "safe"},
    ),
    (StreamStale(1, "no node", 4), "stream.stale", {"chainId": 1, "reason": "no node", "block": 4}),
    (StreamLive(1, "well", 4), "stream.live", {"chainId": 1, "reason": "well", "block": 4}),
    (StreamResync(1, "deep", block_at(4)), "stream.resync", {"chainId": 1, "reason": "deep", "block": 4}),
    (
        HistoryFilled(
            1,
            holding(0, USDC),
            2,
            9,
            (HistoryRow(block_at(5), 3, None, (tx(1),), "finalized", derived=True),),
            INFO,
            "job",
        ),
        "history.filled",
        {
            "chainId": 1,
            "solverAddress": wallet(0),
            "tokenAddress": USDC,
            "fromBlock": 2,
            "toBlock": 9,
            "records": 1,
            "derived": True,
            "reason": None,
        },
    ),
]


@pytest.mark.parametrize(("fact", "kind", "data"), FACTS, ids=[kind for _, kind, _ in FACTS])
def test_every_type_has_exactly_its_documented_shape(fact: Fact, kind: str, data: dict[str, Any]) -> None:
    told = event_json(Event("7f3a9c01", "chain:1", 42, TIME, fact))
    assert told == {
        "type": kind,
        "id": "7f3a9c01:chain:1:42",
        "stream": "chain:1",
        "seq": 42,
        "time": "2026-11-21T01:02:03.456Z",
        "data": data,
    }
    assert list(told) == ["type", "id", "stream", "seq", "time", "data"]
    assert orjson.loads(orjson.dumps(told)) == told


def test_there_is_a_word_for_every_fact_and_a_test_for_every_word() -> None:
    assert set(EVENT_TYPES) == set(get_args(Fact))
    assert {EVENT_TYPES[kind] for kind in get_args(ChainFact)} == {kind for _, kind, _ in FACTS}


def test_a_first_balance_has_neither_previous_nor_change() -> None:
    told = fact_json(updated(1, 0))
    assert (told["previousBalance"], told["changeAmount"], told["newBalance"], told["cause"]) == (
        None,
        None,
        "0",
        "first",
    )
    assert told["transactionHash"] is None


def test_a_token_that_says_nothing_of_itself_is_told_with_nulls() -> None:
    told = fact_json(BalanceUpdated(1, holding(0, DAI), 0, 7, block_at(1), "sync", TokenInfo()))
    assert (told["amount"], told["decimals"], told["tokenSymbol"], told["newBalance"]) == (None, None, None, "7")


def test_a_uint256_keeps_all_its_digits() -> None:
    told = fact_json(updated(1, UINT256, 0))
    assert told["newBalance"] == told["changeAmount"] == str(UINT256)


def test_a_stream_that_never_had_a_block_is_stale_at_none() -> None:
    assert fact_json(StreamStale(1, "no node", None))["block"] is None


def test_times_are_utc_with_milliseconds_wherever_they_come_from() -> None:
    assert time_text(TIME.astimezone(timezone(timedelta(hours=5)))) == "2026-11-21T01:02:03.456Z"
    assert time_text(TIME.replace(microsecond=0)) == "2026-11-21T01:02:03.000Z"
    assert unix_text(1_700_000_000) == "2023-11-14T22:13:20Z"


def test_the_events_of_a_commit_are_numbered_without_holes() -> None:
    commit = Commit("c", "chain:1", 41, TIME, (UPDATED, REVERTED))
    assert [(event.seq, event.fact, event.id) for event in commit.events("e")] == [
        (41, UPDATED, "e:chain:1:41"),
        (42, REVERTED, "e:chain:1:42"),
    ]
    assert commit.last_seq == 42


@pytest.mark.parametrize(("first", "facts"), [(0, (UPDATED,)), (1, ())])
def test_a_commit_is_never_empty_and_numbered_from_one(first: int, facts: tuple[Fact, ...]) -> None:
    with pytest.raises(ValueError, match="at least one fact"):
        Commit("c", "chain:1", first, TIME, facts)
