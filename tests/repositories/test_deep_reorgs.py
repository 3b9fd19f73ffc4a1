"""A reorg deeper than the window: what lies above the cut goes, what did not change is confirmed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from indexer.domain.chain import Holding
from indexer.domain.recording.records import fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Confirmed, Orphaned, Passed, StreamResync
from repositories.database import Database
from repositories.store import Store
from tests.repositories.samples import INFO, TIME, USDC, head_at, solver_at, updated

SAME, OTHER, UNWATCHED = (Holding(USDC, solver_at(index)) for index in range(3))


def _before() -> Commit:
    told = ((5, None), (9, 5))
    facts = [
        updated(number, solver=solver, balance=number, previous=previous)
        for number, previous in told
        for solver in range(3)
    ]
    return Commit("before", "chain:1", 1, TIME, tuple(facts))


def _resync() -> Commit:
    block = head_at(12, "b").ref
    resync = StreamResync(1, "a reorg deeper than the window", block, above=6, confirmed=(Confirmed(SAME, 9, INFO),))
    differs = replace(updated(12, solver=1, balance=3, previous=9, fork="b"), cause="resync")
    return Commit("resync", "chain:1", 7, TIME, (resync, differs))


async def _assert_cut(store: Store) -> None:
    assert [row.block.number for row in await store.balances.history(1, SAME, limit=9)] == [12, 5]
    assert [row.balance for row in await store.balances.history(1, OTHER, limit=9)] == [3, 5]
    assert [row.block.number for row in await store.balances.history(1, UNWATCHED, limit=9)] == [5]
    current = await store.balances.balances_of(1)
    assert {holding: row.balance for holding, row in current.items()} == {SAME: 9, OTHER: 3}
    assert {row.block.hash for row in current.values()} == {head_at(12, "b").hash}


async def test_orphaned_rows_go_and_unchanged_balances_are_confirmed(store: Store) -> None:
    await store.balances.project(fold([_before()]))
    await store.balances.project(fold([_resync()]))
    await _assert_cut(store)


async def test_the_cut_is_the_same_when_it_is_folded_with_what_it_cuts(store: Store) -> None:
    await store.balances.project(fold([_before(), _resync()]))
    await _assert_cut(store)


async def test_the_cut_may_be_projected_twice(store: Store) -> None:
    for commits in ([_before()], [_resync()], [_before(), _resync()]):
        await store.balances.project(fold(commits))
    await _assert_cut(store)


async def test_after_a_cut_changes_count_from_the_record_that_is_left(store: Store) -> None:
    for commits in ([_before()], [_resync()], [_before(), _resync()]):
        await store.balances.project(fold(commits))
        rows = {key: (await store.balances.history(1, key, limit=9))[0] for key in (SAME, OTHER)}
    assert {key: row.change for key, row in rows.items()} == {SAME: 9 - 5, OTHER: 3 - 5}


async def test_at_no_moment_an_older_record_holds_in_place_of_one_that_is_cut_off(store: Store) -> None:
    """A client that was told of that one, and asks just now, would find what held long before."""
    await store.balances.project(fold([_before()]))
    held: set[tuple[Holding, int]] = set()
    insert = Database.insert_new

    async def look_and_insert(*documents: Any) -> list[int]:
        for key in (SAME, OTHER):
            held.update((key, row.block.number) for row in await store.balances.history(1, key, limit=1))
        return await insert(*documents)

    with mock.patch.object(Database, "insert_new", look_and_insert):
        await store.balances.project(fold([_resync()]))
    assert held == {(key, number) for key in (SAME, OTHER) for number in (9, 12)}
    await _assert_cut(store)


@pytest.mark.parametrize("together", [True, False], ids=["at once", "one by one"])
async def test_a_resync_in_more_than_one_commit_counts_alike_in_all_of_them(store: Store, *, together: bool) -> None:
    whole = _resync()
    parts = [replace(whole, facts=whole.facts[:1]), replace(whole, id="more", first_seq=8, facts=whole.facts[1:])]
    await store.balances.project(fold([_before()]))
    for commits in [parts] if together else [[part] for part in parts]:
        await store.balances.project(fold(commits))
    rows = {key: (await store.balances.history(1, key, limit=9))[0] for key in (SAME, OTHER)}
    assert {key: row.change for key, row in rows.items()} == {SAME: 9 - 5, OTHER: 3 - 5}


@pytest.mark.parametrize("together", [True, False], ids=["at once", "one by one"])
async def test_so_does_one_that_cut_nothing(store: Store, *, together: bool) -> None:
    differs = replace(updated(12, solver=1, balance=3, previous=9), cause="resync")
    passed = Passed(head_at(9).ref, (OTHER,))
    parts = [
        Commit("resync", "chain:1", 7, TIME, (StreamResync(1, "pruned", differs.block, None, passed=passed),)),
        Commit("more", "chain:1", 8, TIME, (differs,)),
    ]
    await store.balances.project(fold([_before()]))
    for commits in [parts] if together else [[part] for part in parts]:
        await store.balances.project(fold(commits))
    assert (await store.balances.history(1, OTHER, limit=9))[0].change == 3 - 9


async def test_after_a_cut_that_leaves_nothing_there_is_no_change(store: Store) -> None:
    new = replace(updated(12, solver=1, balance=3, previous=9, fork="b"), cause="resync")
    resync = StreamResync(1, "a reorg deeper than the window", new.block, above=2)
    await store.balances.project(fold([_before(), Commit("resync", "chain:1", 7, TIME, (resync, new))]))
    assert [row.change for row in await store.balances.history(1, OTHER, limit=9)] == [None]


async def test_the_row_that_a_reorg_leaves_at_the_ancestor_counts_from_the_one_below(store: Store) -> None:
    left = BalanceReverted(1, OTHER, 9, 8, head_at(7).ref, INFO, (Orphaned(9, head_at(9).hash, 9),), anchor=True)
    await store.balances.project(fold([_before(), Commit("back", "chain:1", 7, TIME, (left,))]))
    rows = await store.balances.history(1, OTHER, limit=9)
    assert [(row.block.number, row.balance, row.change) for row in rows] == [(7, 8, 3), (5, 5, None)]


async def test_the_highest_stored_block_below_a_number_is_found(store: Store) -> None:
    await store.balances.project(fold([_before()]))
    found = await store.balances.block_at_or_below(1, 8)
    assert found == head_at(5).ref
    assert await store.balances.block_at_or_below(1, 4) is None
    assert await store.balances.block_at_or_below(2, 99) is None


async def test_where_blocks_were_passed_over_nothing_goes_and_what_did_not_change_is_confirmed(store: Store) -> None:
    block = head_at(12).ref
    resync = StreamResync(1, "pruned", block, confirmed=(Confirmed(SAME, 9, INFO),))
    await store.balances.project(fold([_before(), Commit("resync", "chain:1", 7, TIME, (resync,))]))
    rows = await store.balances.history(1, SAME, limit=9)
    assert [(row.block.number, row.change, row.cause) for row in rows][:2] == [(12, 0, "resync"), (9, 4, "transfer")]
    assert [row.block.number for row in await store.balances.history(1, OTHER, limit=9)] == [9, 5]
    assert (await store.balances.balances_of(1))[SAME].block == block
    loose = await store.balances.newest_loose(1, SAME, above=5)
    assert loose is not None, "whatever its change is said to be, it does not know what was before it"
    assert loose.block == block


async def test_what_was_passed_over_is_ordered_once_and_what_was_done_of_it_stays(store: Store) -> None:
    passed = Passed(head_at(9).ref, (SAME, OTHER), (OTHER,))
    resync = StreamResync(1, "pruned", head_at(12).ref, confirmed=(Confirmed(SAME, 9, INFO),), passed=passed)
    projection = fold([_before(), Commit("resync", "chain:1", 7, TIME, (resync,))])
    await store.books.project(projection)
    (order,) = await store.backfills.offered(1, known=())
    assert (order.first, order.last, order.holdings) == (10, 11, (SAME, OTHER))
    assert order.after == head_at(9).ref
    assert order.trailing == {OTHER}
    done = replace(order, state="done", records=2)
    await store.backfills.save(done)
    await store.books.project(projection)
    assert await store.backfills.jobs(1) == [done]
    assert not await store.backfills.offered(1, known=(order.id,))
    assert not await store.backfills.offered(2, known=())


async def test_records_that_no_log_need_have_led_to_are_found_from_one_block_to_another(store: Store) -> None:
    block = head_at(12).ref
    resync = StreamResync(1, "pruned", block, confirmed=(Confirmed(SAME, 9, INFO),))
    oldest, moved = updated(5, balance=5, previous=None), updated(7, balance=3, previous=5)
    differs = replace(updated(9, balance=9, previous=3), cause="sync")
    await store.balances.project(fold([Commit("told", "chain:1", 1, TIME, (oldest, moved, differs, resync))]))
    found = await store.balances.found_late(1, SAME, 5, 12)
    assert [(row.block.number, row.balance, row.cause) for row in found] == [
        (5, 5, "first"),
        (9, 9, "sync"),
        (12, 9, "resync"),
    ]
    assert [row.block.number for row in await store.balances.found_late(1, SAME, 6, 11)] == [9]
