"""Where nobody watched a balance for a while: the hole is there until it is filled, or until a reorg takes its end."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import pytest

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Holding
from indexer.domain.recording.holes import Apart, Hole, Parting, Rejoined, Rejoining, steps, where_filled
from indexer.domain.recording.records import RecordKey, fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Confirmed, HistoryFilled, HistoryRow, Orphaned, StreamResync
from repositories.store import Store
from tests.repositories.samples import INFO, TIME, USDC, head_at, solver_at, updated

SAME, OTHER = (Holding(USDC, solver_at(index)) for index in range(2))


def _before() -> Commit:
    """Of both balances, at blocks 5 and 9; then nobody watches them."""
    told = ((5, None), (9, 5))
    facts = [
        updated(number, solver=each, balance=number, previous=older) for number, older in told for each in range(2)
    ]
    return Commit("before", "chain:1", 1, TIME, tuple(facts))


def _again(number: int = 20, first_seq: int = 5) -> Commit:
    facts = [replace(updated(number, solver=solver, balance=3), cause="sync", apart=True) for solver in range(2)]
    return Commit(f"again-{first_seq}", "chain:1", first_seq, TIME, tuple(facts))


def _reverted(ancestor: int, *, anchor: bool, first_seq: int = 7) -> Commit:
    """The record at which the hole of one of them ends is taken back."""
    orphaned = (Orphaned(20, head_at(20).hash, 3),)
    fact = BalanceReverted(1, SAME, 3, 9, head_at(ancestor).ref, INFO, orphaned, anchor=anchor)
    return Commit(f"reverted-{first_seq}", "chain:1", first_seq, TIME, (fact,))


async def test_below_a_record_before_which_nobody_watched_there_is_a_hole_until_it_is_filled(store: Store) -> None:
    again = replace(updated(14, solver=1, balance=3, previous=9), cause="sync", apart=True)
    projection = fold([_before(), Commit("again", "chain:1", 7, TIME, (again,))])
    await store.books.project(projection)
    loose = await store.balances.newest_loose(1, again.holding, above=5)
    assert loose is not None
    assert (loose.block, loose.apart) == (again.block, True)
    ((key, hole),) = (await store.coverage.holes(1)).items()
    assert (key, hole.end) == (again.holding, 14)
    assert not await store.coverage.covered(1)
    await store.coverage.close(1, hole.first, {key: 13})
    assert await store.coverage.holes(1) == {key: hole}, "that was walked back from a record below it"
    await store.coverage.close(1, 15, {key: 19})
    assert await store.coverage.holes(1) == {key: hole}, "that was filled above it"
    await store.coverage.close(1, hole.first + 1, {key: 14})
    assert await store.coverage.holes(1) == {key: hole._replace(end=hole.first + 1)}
    await store.books.project(projection)
    await store.coverage.close(1, hole.first, {key: 14})
    await store.books.project(projection)
    assert not await store.coverage.holes(1), "what is projected again after a crash may have been filled by now"


async def _left_after(store: Store, *commits: Commit) -> dict[Holding, Hole]:
    """However they are split, and projected once more after a crash."""
    for told in ([*commits], *([commit] for commit in commits), list(commits[1:])):
        await store.books.project(fold(told))
    return await store.coverage.holes(1)


async def test_a_hole_ends_at_the_record_that_a_reorg_leaves_at_the_ancestor(store: Store) -> None:
    left = await _left_after(store, _before(), _again(), _reverted(14, anchor=True))
    assert left == {SAME: Hole(10, 14), OTHER: Hole(10, 20)}
    await store.coverage.close(1, 10, {SAME: 14})
    await store.books.project(fold([_reverted(14, anchor=True)]))
    assert await store.coverage.holes(1) == {OTHER: Hole(10, 20)}, "what is told again may have been filled by now"


async def test_without_one_it_ends_above_the_ancestor(store: Store) -> None:
    assert (await _left_after(store, _before(), _again(), _reverted(14, anchor=False)))[SAME] == Hole(10, 15)


async def test_what_a_reorg_reached_below_has_no_hole_any_more(store: Store) -> None:
    for commit in (_before(), _again(), _reverted(7, anchor=True)):
        await store.books.project(fold([commit]))
    assert await store.coverage.holes(1) == {OTHER: Hole(10, 20)}


async def test_a_hole_that_ends_below_the_ancestor_stays(store: Store) -> None:
    assert (await _left_after(store, _before(), _again(), _reverted(20, anchor=True)))[SAME] == Hole(10, 20)


async def test_after_a_deep_reorg_holes_end_where_all_was_read_again(store: Store) -> None:
    cut = StreamResync(1, "a reorg deeper than the window", head_at(17, "b").ref, above=12)
    left = await _left_after(store, _before(), _again(), Commit("cut", "chain:1", 7, TIME, (cut,)))
    assert left == {SAME: Hole(10, 17), OTHER: Hole(10, 17)}
    lower = StreamResync(1, "a reorg deeper than the window", head_at(15, "c").ref, above=6)
    await store.books.project(fold([Commit("lower", "chain:1", 9, TIME, (lower,))]))
    assert await store.coverage.holes(1) == {SAME: Hole(6, 15), OTHER: Hole(6, 15)}


async def test_a_deep_reorg_leaves_a_hole_in_what_was_filled(store: Store) -> None:
    """Nobody followed the blocks that are in the place of those that it took."""
    await store.books.project(fold([_before()]))
    await store.coverage.cover(1, 3, {SAME: 5})
    cut = StreamResync(1, "a reorg deeper than the window", head_at(17, "b").ref, above=7)
    for _ in range(2):
        await store.books.project(fold([Commit("cut", "chain:1", 5, TIME, (cut,))]))
        assert await store.coverage.holes(1) == {SAME: Hole(6, 17)}, "where branches part is known by records only"
    await store.coverage.close(1, 6, {SAME: 17})
    await store.books.project(fold([Commit("cut", "chain:1", 5, TIME, (cut,))]))
    assert not await store.coverage.holes(1), "what is told again may have been filled by now"


async def test_so_it_does_in_what_is_being_filled_by_then(store: Store) -> None:
    """Its order was walked back from a record below the hole, and knows nothing of it."""
    cut = StreamResync(1, "deep", head_at(17, "b").ref, above=7, confirmed=(Confirmed(SAME, 9, INFO),))
    differs = replace(updated(17, solver=1, balance=3, previous=9, fork="b"), cause="resync")
    commits = [Commit("cut", "chain:1", 5, TIME, (cut, differs)), Commit("rest", "chain:1", 7, TIME, (_rest(),))]
    await store.books.project(fold([_before()]))
    for split in (commits, commits[:1], commits):
        await store.books.project(fold(split))
        assert await store.coverage.holes(1) == dict.fromkeys((SAME, OTHER, _rest().holding), Hole(6, 17))
    await store.coverage.cover(1, 2, {SAME: 5})
    assert (await store.coverage.holes(1))[SAME] == Hole(6, 17)
    await store.coverage.close(1, 6, {SAME: 17})
    await store.books.project(fold(commits))
    assert SAME not in await store.coverage.holes(1), "what is told again may have been filled by now"


def _rest() -> BalanceUpdated:
    """A resync of thousands of balances is told in several commits."""
    return replace(updated(17, solver=2, balance=3, previous=9, fork="b"), cause="resync")


async def test_what_is_below_all_that_is_wanted_is_no_hole_any_more(store: Store) -> None:
    """It would be joined to the next hole above it, and be filled with that, again and again."""
    again = replace(updated(14, balance=3), cause="sync", apart=True)
    await store.books.project(fold([Commit("again", "chain:1", 1, TIME, (again,))]))
    assert await store.coverage.holes(1) == {SAME: Hole(0, 14)}
    await store.coverage.cover(1, 6, {SAME: 14})
    await store.coverage.close(1, 6, {SAME: 14})
    assert not await store.coverage.holes(1)


async def test_after_a_gap_the_rest_of_a_resync_leaves_no_hole(store: Store) -> None:
    """Of thousands of balances: it is told in several commits, and those alone do not say why."""
    await store.books.project(fold([_before(), Commit("rest", "chain:1", 7, TIME, (_rest(),))]))
    assert not await store.coverage.holes(1)


async def test_so_does_a_deep_reorg_that_took_the_last_block_only_once_it_is_higher(store: Store) -> None:
    await store.books.project(fold([_before()]))
    await store.coverage.cover(1, 3, {SAME: 5})
    cut = StreamResync(1, "a reorg deeper than the window", head_at(10, "b").ref, above=9)
    await store.books.project(fold([Commit("cut", "chain:1", 5, TIME, (cut,))]))
    assert not await store.coverage.holes(1)


async def test_below_a_first_record_there_is_a_hole_where_history_was_filled_before(store: Store) -> None:
    """All that was recorded of it may have been cut off while nobody watched it."""
    await store.books.project(fold([_before()]))
    assert not await store.coverage.holes(1), "without a record below, there is nothing to go on from"
    await store.coverage.cover(1, 3, {OTHER: 5})
    facts = tuple(updated(30, solver=solver, previous=None) for solver in (1, 2))
    anew = Commit("anew", "chain:1", 5, TIME, facts)
    await store.books.project(fold([anew]))
    assert await store.coverage.holes(1) == {OTHER: Hole(10, 30)}
    await store.coverage.cover(1, 10, {OTHER: 30})
    await store.coverage.close(1, 10, {OTHER: 30})
    await store.coverage.cover(1, 3, {facts[1].holding: 30})
    await store.books.project(fold([anew]))
    assert not await store.coverage.holes(1), "what is told again may have been filled by now"


async def test_so_there_is_in_what_is_being_filled_by_then_up_to_the_first_record(store: Store) -> None:
    """Its order ends below the hole that a deep reorg left, and another one cut off what was recorded above it."""
    cut = StreamResync(1, "deep", head_at(17, "b").ref, above=7, confirmed=(Confirmed(SAME, 9, INFO),))
    more = StreamResync(1, "deep", head_at(25, "c").ref, above=20)
    cuts = [Commit(f"cut-{seq}", "chain:1", seq, TIME, (fact,)) for seq, fact in ((5, cut), (6, more))]
    anew = Commit("anew", "chain:1", 7, TIME, (updated(30, balance=3, previous=None),))
    assert await _left_after(store, _before(), *cuts, anew) == {SAME: Hole(6, 30)}
    await store.coverage.cover(1, 2, {SAME: 17})
    await store.coverage.close(1, 2, {SAME: 17})
    assert await store.coverage.holes(1) == {SAME: Hole(6, 30)}


async def test_so_there_is_above_a_record_that_history_which_is_being_filled_may_end_at(store: Store) -> None:
    """Its order was walked back from that record, while nobody watched the balance any more."""
    anew = Commit("anew", "chain:1", 5, TIME, (updated(30, balance=3, previous=None),))
    assert await _left_after(store, _before(), anew) == {SAME: Hole(10, 30)}
    await store.coverage.cover(1, 2, {SAME: 9})
    await store.coverage.close(1, 2, {SAME: 9})
    assert await store.coverage.holes(1) == {SAME: Hole(10, 30)}
    await store.coverage.cover(1, 2, {SAME: 30})
    await store.coverage.close(1, 2, {SAME: 30})
    await store.books.project(fold([anew]))
    assert not await store.coverage.holes(1), "what is told again may have been filled by now"


async def test_above_each_record_that_is_first_once_more_there_is_one(store: Store) -> None:
    facts = tuple(updated(number, balance=3, previous=None) for number in (20, 30))
    assert await _left_after(store, _before(), Commit("anew", "chain:1", 5, TIME, facts)) == {SAME: Hole(10, 30)}


async def test_watched_anew_after_the_reorg_a_hole_ends_there(store: Store) -> None:
    again = Commit("apart", "chain:1", 8, TIME, (_apart(16),))
    assert (await _left_after(store, _before(), _again(), _reverted(14, anchor=False), again))[SAME] == Hole(10, 16)


def _apart(number: int) -> BalanceUpdated:
    return replace(updated(number, balance=4, fork="b"), cause="sync", apart=True)


@pytest.mark.parametrize(("known", "first"), [(4, 10), (12, 13)])
async def test_a_hole_begins_above_the_block_up_to_which_the_balance_was_known_without_a_record(
    store: Store, known: int, first: int
) -> None:
    read = replace(_apart(20), cause="resync", known_to=known)
    assert (await _left_after(store, _before(), Commit("read", "chain:1", 5, TIME, (read,))))[SAME] == Hole(first, 20)


async def test_after_a_cut_many_balances_that_were_not_read_before_it_are_looked_up_at_once(store: Store) -> None:
    cut = StreamResync(1, "deep", head_at(20, "b").ref, above=12)
    facts = [
        replace(updated(20, solver=solver, balance=4, fork="b"), cause="resync", apart=True, known_to=8)
        for solver in range(2)
    ]
    told = fold([Commit("cut", "chain:1", 5, TIME, (cut, *facts))])
    assert [type(step) for step in steps(where_filled(told.holes, {}))] == [Rejoining, Parting]
    await store.coverage.cover(1, 2, {SAME: 9})
    await store.books.project(fold([_before()]))
    await store.books.project(told)
    assert await store.coverage.holes(1) == {SAME: Hole(10, 20), OTHER: Hole(10, 20)}


async def test_what_is_below_the_holes_of_many_balances_is_looked_up_at_once(store: Store) -> None:
    await store.books.project(fold([_before()]))
    with mock.patch.object(store.balances, "all_below", wraps=store.balances.all_below) as asked:
        await store.books.project(fold([_again()]))
    assert await store.coverage.holes(1) == {SAME: Hole(10, 20), OTHER: Hole(10, 20)}
    assert [call for call in asked.call_args_list if call.kwargs] == [
        mock.call((RecordKey(1, SAME, 20), RecordKey(1, OTHER, 20)), heard=True)
    ]


async def test_a_hole_begins_above_what_was_heard_whatever_was_filled_in_there(store: Store) -> None:
    row = HistoryRow(head_at(12).ref, 4, -5, (), "latest", derived=False)
    filled = HistoryFilled(1, SAME, 10, 12, (row,), INFO, "job")
    await store.books.project(fold([_before(), Commit("h", "history:1", 1, TIME, (filled,))]))
    await store.books.project(fold([_again()]))
    assert (await store.coverage.holes(1))[SAME] == Hole(10, 20)


def test_what_is_told_of_many_balances_is_one_step() -> None:
    apart, beside = Apart(1, SAME, 9, 1), Apart(1, OTHER, 12, 2)
    first, second, third = Rejoined(1, SAME, 5, 5, 2), Rejoined(1, OTHER, 5, 5, 3), Rejoined(1, SAME, 4, 4, 4)
    of_all, elsewhere = Rejoined(1, None, 4, 8, 5), Rejoined(2, SAME, 3, 8, 1)
    assert list(steps([apart, beside, first, second, third, of_all, elsewhere, apart])) == [
        Parting(((apart, 4), (beside, 5))),
        Rejoining(1, {SAME: first, OTHER: second}),
        Rejoining(1, {SAME: third}),
        Rejoining(1, {None: of_all}),
        Rejoining(2, {SAME: elsewhere}),
        Parting(((apart, 9),)),
    ]


async def test_an_order_for_less_takes_nothing_back_of_what_is_covered(store: Store) -> None:
    await store.coverage.cover(1, 3, {SAME: 9})
    await store.coverage.cover(1, 5, {SAME: 7})
    assert await store.coverage.covered(1) == {SAME: 3}
    assert await store.coverage.filled_up_to(1, {SAME}) == {SAME: 9}


async def test_between_two_blocks_in_a_row_nobody_missed_anything(store: Store) -> None:
    await store.books.project(fold([_before(), _again(number=10)]))
    assert not await store.coverage.holes(1)
