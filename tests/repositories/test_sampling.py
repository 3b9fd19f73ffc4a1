"""What an audit draws: only what was read, of chains that can be asked, and as much as it was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.domain.recording.records import BalanceRecord, Projection, key_of, record_of
from repositories import queries
from repositories.store import Store
from tests.repositories.samples import updated


async def _put(store: Store, *records: BalanceRecord) -> None:
    await store.balances.project(Projection(records={key_of(record): record for record in records}))


def _read(count: int) -> list[BalanceRecord]:
    return [record_of(updated(number), number) for number in range(1, count + 1)]


def _unreadable(count: int) -> list[BalanceRecord]:
    """Derived ones, and as many of a chain that is not configured."""
    rows = _read(count)
    derived = [replace(row, block=replace(row.block, number=row.block.number + 10_000), derived=True) for row in rows]
    return derived + [replace(row, chain_id=7) for row in rows]


async def test_a_sample_holds_each_record_at_most_once(store: Store) -> None:
    await _put(store, *_read(20))
    everything = await store.balances.sample(100, {1})
    assert sorted(record.block.number for record in everything) == list(range(1, 21))
    some = await store.balances.sample(15, {1})
    assert len({record.block.number for record in some}) == len(some) == 15


async def test_a_sample_is_as_large_as_asked_for_however_few_can_be_read(store: Store) -> None:
    await _put(store, *_read(20), *_unreadable(300))
    drawn = await store.balances.sample(20, {1})
    assert sorted(record.block.number for record in drawn) == list(range(1, 21))
    assert await store.balances.sample(20, set()) == []


async def test_a_sample_is_filled_up_where_the_server_draws_too_few(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "DRAWS", 0)
    await _put(store, *_read(20), *_unreadable(5))
    drawn = await store.balances.sample(7, {1, 2})
    assert len({(record.chain_id, record.derived, record.block.number) for record in drawn}) == 7
    assert {(record.chain_id, record.derived) for record in drawn} == {(1, False)}


async def test_derived_records_are_counted_up_to_a_number(store: Store) -> None:
    await _put(store, *_read(3), *_unreadable(5))
    assert [await store.balances.derived({1}, most) for most in (2, 9)] == [2, 5]
    assert await store.balances.derived({7}, 9) == 0
