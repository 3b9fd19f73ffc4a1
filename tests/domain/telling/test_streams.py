"""The names of streams, how a stream is doing, and who is on which chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.health.status import StreamStatus
from indexer.domain.telling.streams import chain_of, chain_stream, exchange_stream, history_stream
from indexer.domain.watching import Solver
from tests.domain.samples import wallet

NOW = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)


@given(st.integers(0, 2**63 - 1))
def test_a_chains_streams_name_the_chain(chain_id: int) -> None:
    assert chain_of(chain_stream(chain_id)) == chain_of(history_stream(chain_id)) == chain_id


@pytest.mark.parametrize("stream", ["exchange:binance:main", "exchange:1:1", "chain:", "chain:x", "chain:-1", "", "1"])
def test_any_other_stream_is_of_no_chain(stream: str) -> None:
    assert chain_of(stream) is None


def test_an_account_has_one_stream() -> None:
    assert exchange_stream("binance", "main") == "exchange:binance:main"


def test_lag_is_counted_only_where_both_ends_are_known_and_is_never_negative() -> None:
    status = StreamStatus("chain:1", "ethereum")
    assert status.lag_blocks == 0
    assert StreamStatus("chain:1", "ethereum", block=5, newest_block=9).lag_blocks == 4
    assert StreamStatus("chain:1", "ethereum", block=9, newest_block=5).lag_blocks == 0
    assert status.lag_seconds(NOW) == 0.0
    late = StreamStatus("chain:1", "ethereum", behind_since=NOW - timedelta(seconds=3))
    assert late.lag_seconds(NOW) == 3.0
    assert late.lag_seconds(NOW - timedelta(seconds=9)) == 0.0


def test_a_solver_without_chains_is_on_all_and_with_chains_on_those() -> None:
    assert Solver("acme", wallet(0)).is_on(137)
    assert Solver("acme", wallet(0), (1,)).is_on(1)
    assert not Solver("acme", wallet(0), (1,)).is_on(137)
