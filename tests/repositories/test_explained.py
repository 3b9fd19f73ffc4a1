"""What made a record is kept with it; what leads to no record yet is kept with the checkpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, Holding, TokenInfo, Transfer, TxHash
from indexer.domain.following.finality import Settled
from indexer.domain.health.incidents import Incident, Incidents
from indexer.domain.health.unread import Unread
from indexer.domain.recording.records import fold
from indexer.domain.resuming.checkpoints import Mark, SilentCut, StoredCheckpoint
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import (
    BalanceReverted,
    Checkpoint,
    Confirmed,
    HistoryFilled,
    HistoryRow,
    Joint,
    Orphaned,
    StreamResync,
)
from repositories.store import Store
from tests.repositories.samples import TIME, USDC, block_hash, head_at, solver_at, updated

OURS = Holding(USDC, solver_at(0))


def log_at(number: int, amount: int = 3) -> Transfer:
    transaction = TxHash(block_hash(number, "f"))
    return Transfer(Address(USDC), solver_at(9), solver_at(0), amount, block_hash(number), transaction, 7, number)


def settled_at(seq: int, safe: int, finalized: int, number: int) -> Commit:
    checkpoint = Checkpoint(head_at(number), Settled(safe, finalized))
    return Commit(f"c{seq}", "chain:1", seq, TIME, (updated(number, balance=seq),), checkpoint)


async def test_a_record_comes_back_with_its_logs_and_what_they_leave(store: Store) -> None:
    fact = replace(updated(5), transfers=(log_at(3), log_at(5, 2**256 - 1)), unexplained=-(2**256) - 1)
    commit = Commit("c", "chain:1", 1, TIME, (fact,), Checkpoint(head_at(5)), noted=(log_at(4),))
    await store.commits.append(commit)
    assert await store.commits.since("chain:1", 0, 9) == [commit]
    await store.balances.project(fold([commit]))
    (record,) = await store.balances.history(1, OURS, limit=9)
    assert (record.transfers, record.unexplained) == (fact.transfers, fact.unexplained)
    current = await store.balances.one(1, OURS)
    assert current is not None
    assert current.transfers == ()


async def test_history_that_is_filled_again_explains_the_record_above_it_anew(store: Store) -> None:
    """What it was explained by before may be of a branch that was orphaned meanwhile."""
    live = replace(updated(5, balance=9), previous=None, cause="first")
    empty = HistoryFilled(1, OURS, 0, 4, (), TokenInfo(), "job")
    joints = (Joint(5, 2, (), (log_at(4, 2),), 0), Joint(5, 0, (), (), None))
    commits = [Commit("c", "chain:1", 1, TIME, (live,))]
    commits += [
        Commit(f"h{seq}", "history:1", seq, TIME, (replace(empty, joint=joint),)) for seq, joint in enumerate(joints, 1)
    ]
    for commit in commits:
        await store.balances.project(fold([commit]))
        (record,) = await store.balances.history(1, OURS, limit=9)
        assert record.cause == ("first" if commit is commits[0] else "sync")
    assert (record.change, record.transfers, record.unexplained) == (0, (), None)


@pytest.mark.parametrize(
    ("token", "change", "cause"), [(USDC, 4, "sync"), (USDC, 0, "sync"), (NATIVE, 4, "native"), (NATIVE, 0, "sync")]
)
async def test_a_first_record_that_is_not_the_first_any_more_has_the_cause_of_its_change(
    store: Store, token: str, change: int, cause: str
) -> None:
    ours = Holding(token, solver_at(0))
    live = replace(updated(5, balance=9), holding=ours, previous=None, cause="first")
    below = HistoryRow(head_at(3).ref, 9 - change, None, (), "latest", derived=True)
    filled = HistoryFilled(1, ours, 0, 4, (below,), TokenInfo(), "job", joint=Joint(5, change, ()))
    for commit in (Commit("c", "chain:1", 1, TIME, (live,)), Commit("h", "history:1", 1, TIME, (filled,))):
        await store.balances.project(fold([commit]))
    newest, oldest = await store.balances.history(1, ours, limit=9)
    assert (newest.change, newest.cause, newest.is_open) == (change, cause, True)
    assert (oldest.change, oldest.cause) == (None, "first")
    assert oldest.holds_until(newest) == (4 if token == NATIVE else 3), "of a token that takes all its logs"
    assert newest in await store.balances.found_late(1, ours, 4, 9)


async def test_a_record_says_what_it_changed_since_the_one_that_is_left_once_history_below_it_is_taken_back(
    store: Store,
) -> None:
    """That may never be filled again, as a node may have no state there by then: nobody knows when it happened."""
    oldest = HistoryRow(head_at(1).ref, 2, None, (), "latest", derived=True)
    live = replace(updated(5, balance=9), previous=None, cause="first")
    below = HistoryRow(head_at(3).ref, 5, 3, (), "latest", derived=True)
    filled = HistoryFilled(
        1, OURS, 0, 4, (oldest, below), TokenInfo(), "job", joint=Joint(5, 4, (log_at(5, 2).transaction,))
    )
    void = HistoryFilled(1, OURS, 2, 4, (), TokenInfo(), "job", void=True)
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (live,))]))
    await store.balances.project(fold([Commit("h1", "history:1", 1, TIME, (filled,))]))
    joined, *_ = await store.balances.history(1, OURS, limit=9)
    assert (joined.change, joined.cause) == (4, "transfer")
    for _ in range(2):
        await store.balances.project(fold([Commit("h2", "history:1", 2, TIME, (void,))]))
        newest, older = await store.balances.history(1, OURS, limit=9)
        assert (newest.change, newest.cause, newest.unexplained, older.change) == (7, "sync", None, None)
        assert older.holds_until(newest) == 1
        assert await store.balances.newest_loose(1, OURS, above=2) == newest


async def test_what_opens_anew_above_an_older_record_says_what_changed_since_that_one(store: Store) -> None:
    """Nobody looked at the blocks in between, of natives where a node has no state of them, for example."""
    older = replace(updated(3, balance=4), previous=None, cause="first")
    opening = HistoryRow(head_at(7).ref, 9, None, (), "latest", derived=False)
    filled = HistoryFilled(1, OURS, 4, 8, (opening,), TokenInfo(), "job")
    again = replace(updated(9, balance=9), previous=None, cause="first")
    live = Commit("c", "chain:1", 1, TIME, (older,)), Commit("d", "chain:1", 2, TIME, (again,))
    history = Commit("h", "history:1", 1, TIME, (filled,))
    for split in (((live[0],), (history,), (live[1],)), ((live[0], history), (live[1],)), ((*live, history),)):
        for part in split:
            await store.balances.project(fold(part))
        rows = await store.balances.history(1, OURS, limit=9)
        assert [(row.change, row.cause) for row in rows] == [(0, "sync"), (5, "sync"), (None, "first")]
        assert [rows[2].holds_until(rows[1]), rows[1].holds_until(rows[0])] == [3, 7]


async def test_above_history_that_ends_lower_a_record_counts_from_where_that_ends(store: Store) -> None:
    """An order up to some block: nobody knows what was between that and the record above."""
    live = replace(updated(9, balance=9), previous=None, cause="first")
    rows = (HistoryRow(head_at(3).ref, 5, None, (), "latest", derived=False),)
    filled = HistoryFilled(1, OURS, 2, 4, rows, TokenInfo(), "job", final=True)
    history = Commit("h", "history:1", 1, TIME, (filled,))
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (live,))]))
    for _ in range(2):
        await store.balances.project(fold([history]))
        newest, older = await store.balances.history(1, OURS, limit=9)
        assert (newest.change, newest.cause, older.holds_until(newest)) == (4, "sync", 3)
        assert await store.balances.newest_loose(1, OURS, above=4) == newest


async def test_what_is_the_oldest_is_the_first_also_where_a_reorg_left_it(store: Store) -> None:
    first = replace(updated(5, balance=9), previous=None, cause="first")
    orphaned = (Orphaned(5, first.block.hash, 9),)
    reverted = BalanceReverted(1, OURS, 9, 2, head_at(4).ref, TokenInfo(), orphaned, anchor=True)
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (first,))]))
    await store.balances.project(fold([Commit("r", "chain:1", 2, TIME, (reverted,))]))
    (record,) = await store.balances.history(1, OURS, limit=9)
    assert (record.cause, record.change, record.balance) == ("first", None, 2)


@pytest.mark.parametrize("is_at_once", [True, False], ids=["at once", "one after the other"])
async def test_what_a_reorg_left_in_the_midst_of_history_that_was_being_read_is_not_the_first(
    store: Store, is_at_once: bool
) -> None:
    """The job began below a record of block 5, which was then orphaned and came back; what held at 4 has a record."""
    first = replace(updated(5, balance=2), previous=None, cause="first")
    orphaned = (Orphaned(5, first.block.hash, 2),)
    reverted = BalanceReverted(1, OURS, 2, 2, head_at(4).ref, TokenInfo(), orphaned, anchor=True)
    rows = tuple(
        HistoryRow(head_at(number).ref, balance, None, (), "latest", derived=True)
        for number, balance in ((2, 1), (3, 2))
    )
    commits = [
        Commit("c", "chain:1", 1, TIME, (first,)),
        Commit("r", "chain:1", 2, TIME, (reverted,)),
        Commit("h", "history:1", 1, TIME, (HistoryFilled(1, OURS, 1, 4, rows, TokenInfo(), "job", final=True),)),
    ]
    for part in [commits] if is_at_once else [[one] for one in commits]:
        await store.balances.project(fold(part))
    newest, *_, oldest = await store.balances.history(1, OURS, limit=9)
    assert (newest.block.number, newest.change) == (4, 0)
    assert newest.cause != "first"
    assert oldest.block.number == 2


async def test_a_native_balance_that_was_read_at_every_block_in_between_held_up_to_the_next_record(
    store: Store,
) -> None:
    coin = Holding(NATIVE, solver_at(0))
    before, after = (replace(updated(number, balance=4), holding=coin, cause="native") for number in (3, 9))
    resync = StreamResync(1, "pruned", after.block, confirmed=(Confirmed(coin, 4, TokenInfo()),))
    joint = Joint(9, 0, (), block_hash=after.block.hash)
    filled = HistoryFilled(1, coin, 4, 8, (), TokenInfo(), "job", joint=joint)
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (before,))]))
    await store.balances.project(fold([Commit("r", "chain:1", 2, TIME, (resync,))]))
    newest, older = await store.balances.history(1, coin, limit=9)
    assert older.holds_until(newest) == 3
    await store.balances.project(fold([Commit("h", "history:1", 1, TIME, (filled,))]))
    newest, older = await store.balances.history(1, coin, limit=9)
    assert (newest.cause, newest.change, older.holds_until(newest)) == ("resync", 0, 8)


async def test_the_oldest_record_is_the_first_again_once_history_below_it_is_taken_back(store: Store) -> None:
    live = replace(updated(5, balance=9), previous=None, cause="first")
    below = HistoryRow(head_at(3).ref, 5, None, (), "latest", derived=True)
    filled = HistoryFilled(1, OURS, 0, 4, (below,), TokenInfo(), "job", joint=Joint(5, 4, ()))
    void = HistoryFilled(1, OURS, 2, 4, (), TokenInfo(), "job", void=True)
    later = replace(updated(8, balance=7, previous=9))
    heard = Commit("c", "chain:1", 1, TIME, (live, later))
    commits = [Commit(f"h{seq}", "history:1", seq, TIME, (fact,)) for seq, fact in enumerate((filled, void, filled), 1)]
    for split in (commits[:2], commits[1:2], commits[:2]):
        await store.balances.project(fold([heard]))
        await store.balances.project(fold(split))
        rows = await store.balances.history(1, OURS, limit=9)
        assert [(row.block.number, row.change) for row in rows] == [(8, -2), (5, None)]
    await store.balances.project(fold(commits))
    rows = await store.balances.history(1, OURS, limit=9)
    assert [(row.block.number, row.change) for row in rows] == [(8, -2), (5, 4), (3, None)]


async def test_what_was_filled_in_of_blocks_that_a_reorg_left_is_gone_at_once(store: Store) -> None:
    """In blocks that had no record of what was heard as well, and before anybody looks at that history again."""
    heard = replace(updated(5, balance=9), previous=None, cause="first")
    blocks = (head_at(2).ref, head_at(3).ref, head_at(4, "b").ref)
    rows = tuple(HistoryRow(block, block.number, None, (), "latest", derived=True) for block in blocks)
    filled = HistoryFilled(1, OURS, 0, 4, rows, TokenInfo(), "job")
    orphaned = (Orphaned(5, heard.block.hash, 9),)
    left = tuple((number, block_hash(number)) for number in (3, 4, 5))
    reverted = BalanceReverted(1, OURS, 9, 2, head_at(2).ref, TokenInfo(), orphaned, left=left)
    live = [Commit("c", "chain:1", 1, TIME, (heard,)), Commit("r", "chain:1", 2, TIME, (reverted,))]
    history = Commit("h", "history:1", 1, TIME, (filled,))
    for split in ((live[0], history, live[1]), live[1:]):
        await store.balances.project(fold(split))
        there = [row.block for row in await store.balances.history(1, OURS, limit=9)]
        assert there == [head_at(4, "b").ref, head_at(2).ref], "what was filled of the new branch stays"


async def test_one_that_an_earlier_release_left_as_first_is_read_like_the_others(store: Store) -> None:
    live = replace(updated(5, balance=9), previous=None, cause="first")
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (live,))]))
    await store.balances._records.update_one({}, {"$set": {"changeAmount": "4"}})
    (record,) = await store.balances.history(1, OURS, limit=9)
    assert (record.change, record.cause, record.joined) == (4, "sync", True)


async def test_what_a_reorg_takes_back_of_one_order_leaves_what_another_one_told_above_it(store: Store) -> None:
    rows = tuple(HistoryRow(head_at(number).ref, number, None, (), "latest", derived=True) for number in (2, 3, 6))
    told = HistoryFilled(1, OURS, 0, 7, rows, TokenInfo(), "other")
    void = HistoryFilled(1, OURS, 3, 4, (), TokenInfo(), "job", void=True)
    commits = [Commit("h1", "history:1", 1, TIME, (told,)), Commit("h2", "history:1", 2, TIME, (void,))]
    for split in ((commits,), (commits[:1], commits[1:])):
        for part in split:
            await store.balances.project(fold(part))
        assert [row.block.number for row in await store.balances.history(1, OURS, limit=9)] == [6, 2]


async def test_what_was_found_of_a_record_is_not_said_of_the_one_in_its_place(store: Store) -> None:
    """A reorg came between: the logs of an orphaned block explain nothing."""
    live = replace(updated(5, balance=9), previous=None, cause="first")
    joint = Joint(5, 2, (), (log_at(4, 2),), 0, block_hash=block_hash(77))
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (live,))]))
    for each in (joint, joint._replace(block_hash=live.block.hash, change=3)):
        fact = HistoryFilled(1, OURS, 0, 4, (), TokenInfo(), "job", joint=each)
        await store.balances.project(fold([Commit(f"h{each.change}", "history:1", 1, TIME, (fact,))]))
        (record,) = await store.balances.history(1, OURS, limit=9)
        assert record.change == (None if each is joint else 3)


async def test_a_record_is_told_anew_what_it_changed_whatever_led_to_it(store: Store) -> None:
    live = replace(updated(5, balance=9), previous=4, cause="sync")
    joint = Joint(5, 2, (), (log_at(4, 2),), 0, block_hash=live.block.hash)
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (live,))]))
    fact = HistoryFilled(1, OURS, 0, 4, (), TokenInfo(), "job", joint=joint)
    await store.balances.project(fold([Commit("h", "history:1", 1, TIME, (fact,))]))
    (record,) = await store.balances.history(1, OURS, limit=9)
    assert (record.change, record.cause, record.transfers) == (2, "sync", (log_at(4, 2),))


async def test_several_records_of_one_balance_are_joined_at_once(store: Store) -> None:
    live = [replace(updated(number, balance=number), previous=None, cause="first") for number in (5, 9)]
    joints = [
        HistoryFilled(1, OURS, 0, number - 1, (), TokenInfo(), "job", joint=Joint(number, number - 2, ()))
        for number in (5, 9)
    ]
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, tuple(live))]))
    await store.balances.project(fold([Commit("h", "history:1", 1, TIME, tuple(joints))]))
    assert [row.change for row in await store.balances.history(1, OURS, limit=9)] == [7, 3]


async def test_logs_without_a_record_are_kept_with_the_heads(store: Store) -> None:
    heads, lost = (head_at(4), head_at(5)), Holding(USDC, solver_at(1))
    trail = {OURS: (log_at(4), log_at(5)), lost: None}
    watch = Watch(frozenset({Address(USDC)}), frozenset({solver_at(0)}))
    cuts = (SilentCut(3, 5), SilentCut(4, 7))
    mark = Mark(7, trail, Settled(4, 2), watch, 5, (3, 4), returned=frozenset({OURS, lost}), cuts=cuts)
    await store.checkpoints.follow("chain:1", heads, mark)
    assert await store.checkpoints.load("chain:1") == StoredCheckpoint(heads, 0, mark)
    found = Incidents(Incident(3, "deep", TIME), Incident(4, "pruned", TIME))
    for incidents in (found, Incidents(search=found.search)):
        await store.checkpoints.follow("chain:1", heads, Mark(7, incidents=incidents))
        stored = await store.checkpoints.load("chain:1")
        assert stored is not None
        assert stored.mark.incidents == incidents
    unread = Unread({OURS: 0, lost: 0}, {USDC: Incident(3, "paused", TIME)})
    await store.checkpoints.follow("chain:1", heads, Mark(7, unread=unread))
    stored = await store.checkpoints.load("chain:1")
    assert stored is not None
    assert stored.mark.unread == unread
    await store.checkpoints.follow("chain:1", heads, Mark(8))
    assert await store.checkpoints.load("chain:1") == StoredCheckpoint(heads, 0, Mark(8, watch=watch))


async def test_records_are_as_sure_as_their_blocks_are_now(store: Store) -> None:
    commits = [settled_at(1, -1, -1, 1), settled_at(2, -1, -1, 2), settled_at(3, 2, 1, 3)]
    for commit in commits:
        await store.balances.project(fold([commit]))
    history = await store.balances.history(1, OURS, limit=9)
    assert [(row.block.number, row.finality) for row in history] == [(3, "latest"), (2, "safe"), (1, "finalized")]
    at_two = await store.balances.at_block(1, OURS, 2)
    assert at_two is not None
    assert at_two.finality == "safe"


async def test_projecting_again_makes_nothing_less_sure_and_a_reorg_does(store: Store) -> None:
    first, second, reorged = settled_at(1, 5, 4, 9), settled_at(2, 8, 7, 10), settled_at(3, 6, 6, 11)
    await store.balances.project(fold([first, second]))
    await store.balances.project(fold([first]))
    assert await store.balances.settled(1) == Settled(8, 7)
    await store.balances.project(fold([reorged]))
    assert await store.balances.settled(1) == Settled(6, 6)
    assert await store.balances.settled(2) == Settled()


async def test_a_reorg_back_to_what_was_projected_again_is_less_sure(store: Store) -> None:
    first, second, back = settled_at(1, 5, 4, 9), settled_at(2, 8, 7, 10), settled_at(3, 5, 4, 11)
    await store.balances.project(fold([first, second]))
    await store.balances.project(fold([first]))
    await store.balances.project(fold([back]))
    assert await store.balances.settled(1) == Settled(5, 4)


async def test_the_oldest_says_so_where_a_reorg_takes_back_what_lay_far_below_it(store: Store) -> None:
    """The records in between were cut off, when all was read anew at its block."""
    opening = HistoryRow(head_at(3).ref, 5, None, (), "latest", derived=False)
    filled = Commit("h1", "history:1", 1, TIME, (HistoryFilled(1, OURS, 2, 9, (opening,), TokenInfo(), "job"),))
    anew = replace(updated(20, balance=9), previous=5, cause="resync")
    cut = Commit("c", "chain:1", 1, TIME, (StreamResync(1, "deep", head_at(20).ref, above=3), anew))
    void = Commit("h2", "history:1", 2, TIME, (HistoryFilled(1, OURS, 2, 9, (), TokenInfo(), "job", void=True),))
    for split in (((filled,), (cut,), (void,)), ((filled, cut), (void,)), ((filled, cut, void),)):
        for part in split:
            await store.balances.project(fold(part))
        (oldest,) = await store.balances.history(1, OURS, limit=9)
        assert (oldest.block.number, oldest.cause, oldest.change) == (20, "first", None)


async def test_what_stands_above_other_history_keeps_what_it_changed_since_that(store: Store) -> None:
    rows = tuple(HistoryRow(head_at(number).ref, number, None, (), "latest", derived=True) for number in (3, 12))
    filled = [HistoryFilled(1, OURS, row.block.number, row.block.number, (row,), TokenInfo(), "job") for row in rows]
    live = replace(updated(20, balance=15), previous=12, cause="transfer")
    void = HistoryFilled(1, OURS, 2, 9, (), TokenInfo(), "job", void=True)
    await store.balances.project(fold([Commit("h1", "history:1", 1, TIME, tuple(filled))]))
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (live,))]))
    await store.balances.project(fold([Commit("h3", "history:1", 3, TIME, (void,))]))
    newest, *_ = await store.balances.history(1, OURS, limit=9)
    assert (newest.change, newest.cause) == (3, "transfer")


async def test_what_waits_to_be_joined_stays_the_first_while_others_are_told_above_it(store: Store) -> None:
    """Of the two balances of one job, one is known from a later block on than the other."""
    other = Holding(USDC, solver_at(7))
    first = replace(updated(5, balance=2), previous=None, cause="first")
    below = HistoryRow(head_at(3).ref, 2, None, (), "latest", derived=True)
    above = HistoryRow(head_at(8).ref, 4, None, (), "latest", derived=True)
    told = (
        HistoryFilled(1, OURS, 1, 4, (below,), TokenInfo(), "job"),
        HistoryFilled(1, other, 1, 9, (above,), TokenInfo(), "job"),
    )
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (first,))]))
    for again in ("one", "two"):  # the second time there are rows below it
        await store.balances.project(fold([Commit(again, "history:1", 1, TIME, told)]))
    record = await store.balances.at_block(1, OURS, 5)
    assert record is not None
    assert (record.cause, record.change, record.apart) == ("first", None, False)


async def test_a_record_that_history_is_told_through_has_no_hole_below_it(store: Store) -> None:
    """It said to be the oldest; history from both sides of it comes in one projection."""
    first = replace(updated(5, balance=2), previous=None, cause="first")
    below = HistoryRow(head_at(3).ref, 1, None, (), "latest", derived=True)
    above = HistoryRow(head_at(7).ref, 3, 1, (), "latest", derived=True)
    joint = Joint(5, 1, (), (), 1, head_at(5).hash)
    told = (
        HistoryFilled(1, OURS, 1, 4, (below,), TokenInfo(), "job", joint=joint),
        HistoryFilled(1, OURS, 5, 9, (above,), TokenInfo(), "job"),
    )
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, (first,))]))
    for again in ("one", "two"):
        await store.balances.project(fold([Commit(again, "history:1", 1, TIME, told)]))
    record = await store.balances.at_block(1, OURS, 5)
    assert record is not None
    assert (record.cause, record.change, record.apart, record.joined) == ("sync", 1, False, True)
