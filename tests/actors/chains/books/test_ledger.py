"""One stream's numbers and balances: committed once, told once, loaded again exactly."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.chains.books import ledger as module
from actors.chains.books.writing import COMMIT_FACTS
from indexer.domain.balances import BalanceUpdated, Watch
from indexer.domain.chain import Holding, TokenInfo, Transfer, TxHash
from indexer.domain.following.headchain import HeadChain
from indexer.domain.history.trails import MOST_LOGS
from indexer.domain.resuming.reorgs import reverts
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import Confirmed, Fact, StreamResync, StreamStale
from indexer.errors import Fenced, StoreUnavailable
from tests.actors.fakes import STREAM, USDC, Desk, FakeCheckpoints, commit_of, head_at, holding, updated, wallet


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("actors.patience.FIRST_RETRY_SECONDS", 0.0)
    return Desk()


LOG = Transfer(USDC, wallet(9), wallet(0), 5, head_at(2).hash, TxHash("0x" + "77" * 32), 0, 2)


def roll_back(ledger: Any, ancestor: int, values: dict[Holding, int]) -> tuple[Fact, ...]:
    return reverts(ledger.above(ancestor), ledger.balances, values, head_at(ancestor).ref)


# --- committing ------------------------------------------------------------------------------------------------------


async def test_a_commit_is_written_before_it_is_told_and_numbered_on(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.load()
    await ledger.commit((updated(5, 7), updated(5, 8, who=1)), head_at(5))
    await ledger.commit((updated(6, 9, 7),), head_at(6))
    assert [(commit.first_seq, commit.last_seq) for commit in desk.log.commits] == [(1, 2), (3, 3)]
    assert desk.published == desk.log.commits
    assert (ledger.seq, ledger.balances) == (3, {holding(0): 9, holding(1): 8})


async def test_whoever_tells_it_gets_ready_while_a_commit_is_written(desk: Desk) -> None:
    said: list[str] = []
    append = desk.log.append

    async def writing(commit: Commit) -> None:
        await asyncio.sleep(0)
        said.append("written")
        await append(commit)

    desk.log.append = writing  # type: ignore[method-assign] # takes a turn of the loop, as a server does
    ledger = desk.open(prepare=lambda _commit: said.append("prepared"))
    await ledger.commit((updated(5, 7),), head_at(5))
    assert said == ["prepared", "written"]


async def test_times_are_kept_as_mongodb_keeps_them(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.commit((updated(5, 7),), head_at(5))
    (commit,) = desk.published
    assert commit.time.tzinfo is not None
    assert commit.time.microsecond % 1000 == 0


async def test_a_block_with_too_many_facts_is_split_and_only_the_last_part_moves_the_checkpoint(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.commit([updated(5, 7, who=who) for who in range(2 * COMMIT_FACTS + 1)], head_at(5))
    assert [len(commit.facts) for commit in desk.published] == [COMMIT_FACTS, COMMIT_FACTS, 1]
    assert [commit.checkpoint is not None for commit in desk.published] == [False, False, True]
    assert [commit.first_seq for commit in desk.published] == [1, COMMIT_FACTS + 1, 2 * COMMIT_FACTS + 1]
    assert len({commit.id for commit in desk.published}) == 3


async def test_exactly_as_many_facts_as_fit_are_one_commit(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.commit([updated(5, 7, who=who) for who in range(COMMIT_FACTS)], head_at(5))
    (commit,) = desk.published
    assert commit.checkpoint is not None


async def test_commits_of_many_blocks_are_one_write_and_told_in_order_once_they_are_written(desk: Desk) -> None:
    ledger = desk.open()
    async with ledger.writer.together():
        await ledger.commit((updated(5, 7),), head_at(5))
        async with ledger.writer.together():
            await ledger.commit((updated(6, 9, 7), updated(6, 8, who=1)), head_at(6))
        assert (desk.published, ledger.balances[holding(0)], ledger.seq) == ([], 9, 3)
    assert (desk.log.writes, [commit.first_seq for commit in desk.published]) == ([2], [1, 2])
    assert desk.log.commits == desk.published


async def test_what_was_made_before_a_failure_is_written_and_what_was_before_the_end_is_not(desk: Desk) -> None:
    async def half(failure: BaseException) -> None:
        ledger = desk.open()
        await ledger.load()
        async with ledger.writer.together():
            await ledger.commit((updated(5 + ledger.seq, 7 + ledger.seq),), head_at(5 + ledger.seq))
            raise failure

    for failure in (ValueError(), asyncio.CancelledError()):
        with pytest.raises(type(failure)):
            await half(failure)
        assert len(desk.log.commits) == len(desk.published) == 1


async def test_a_write_of_many_whose_answer_was_lost_is_repeated(desk: Desk) -> None:
    ledger = desk.open()
    desk.log.lose_answers = 1
    async with ledger.writer.together():
        for number in (5, 6, 7):
            await ledger.commit((updated(number, number),), head_at(number))
    assert [commit.first_seq for commit in desk.log.commits] == [1, 2, 3]
    assert desk.published == desk.log.commits


async def test_a_checkpoint_is_never_ahead_of_the_log(desk: Desk) -> None:
    ledger = desk.open()
    async with ledger.writer.together():
        await ledger.commit((updated(5, 7),), head_at(5))
        await ledger.save(HeadChain(8, (head_at(5),)))
        assert len(desk.published) == 1


async def test_what_a_reorg_takes_back_is_one_commit_with_the_block_in_its_place(desk: Desk) -> None:
    """And so a new life finds the one with the other; its logs are those of the new block, not of the orphaned one."""
    desk.checkpoints = FakeCheckpoints({STREAM: (head_at(1),)})
    mover, other = Holding(USDC, wallet(0)), Holding(USDC, wallet(1))
    ledger = desk.open()
    await ledger.commit([replace(updated(1, 5), holding=each) for each in (mover, other)], head_at(1))
    await ledger.commit((replace(updated(2, 7, 5), holding=mover),), head_at(2))
    new = head_at(2, "b", "a")
    log = LOG._replace(sender=other.solver, recipient=wallet(9), block_hash=new.hash)
    async with ledger.writer.together():
        await ledger.roll_back(HeadChain(8, (head_at(1),)), roll_back(ledger, 1, {mover: 5}))
        ledger.note((log,), {mover})
        await ledger.commit((replace(updated(2, 8, 5, fork="b"), holding=mover),), new)
        await ledger.commit((replace(updated(3, 9, 8, fork="b"), holding=mover),), head_at(3, "b"))
    assert [(commit.first_seq, len(commit.facts)) for commit in desk.published] == [(1, 2), (3, 1), (4, 2), (6, 1)]
    assert desk.published == desk.log.commits
    again = desk.open()
    assert (await again.load()).heads == (head_at(1), new, head_at(3, "b"))
    assert again.trails.logs == ledger.trails.logs == {other: (log,)}
    assert (again.balances, again.above(1)) == (ledger.balances, ledger.above(1))


async def test_a_commit_of_retractions_stays_alone_where_both_do_not_fit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.chains.books.writing.COMMIT_FACTS", 1)
    ledger = desk.open()
    await ledger.commit((updated(2, 7, 5),), head_at(2))
    async with ledger.writer.together():
        await ledger.roll_back(HeadChain(8, (head_at(1),)), roll_back(ledger, 1, {holding(): 5}))
        await ledger.commit((updated(2, 8, 5, fork="b"),), head_at(2, "b", "a"))
    assert [len(commit.facts) for commit in desk.published] == [1, 1, 1]


async def test_many_facts_are_written_on_the_way(desk: Desk) -> None:
    ledger = desk.open()
    async with ledger.writer.together():
        await ledger.commit([updated(5, 7, who=who) for who in range(COMMIT_FACTS)], head_at(5))
        assert len(desk.published) == 1


async def test_nothing_is_no_commit(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.commit((), head_at(5))
    assert desk.log.tried == []


async def test_while_the_store_is_away_the_same_commit_is_tried_again_and_told_once(desk: Desk) -> None:
    ledger = desk.open()
    desk.log.troubles = [StoreUnavailable("no primary"), StoreUnavailable("no primary")]
    desk.log.lose_answers = 1
    with structlog.testing.capture_logs() as logs:
        await ledger.commit((updated(5, 7),), head_at(5))
    assert len({commit.id for commit in desk.log.tried}) == 1
    assert len(desk.log.tried) == 4
    assert len(desk.log.commits) == len(desk.published) == 1
    assert [entry["event"] for entry in logs] == ["store_lost", "store_back"]
    assert ledger.writer.error is None


async def test_while_the_store_is_away_the_ledger_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.patience.FIRST_RETRY_SECONDS", 3600.0)
    ledger = desk.open()
    desk.log.troubles = [StoreUnavailable("no primary")]
    writing = asyncio.ensure_future(ledger.commit((updated(5, 7),), head_at(5)))
    await asyncio.sleep(0)
    assert "no primary" in (ledger.writer.error or "")
    assert (ledger.seq, ledger.balances, desk.published) == (0, {}, [])
    writing.cancel()


async def test_a_store_that_says_nothing_at_all_is_told_as_well(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.patience.OVERDUE_SECONDS", 0.0)
    thawed = asyncio.Event()
    said = asyncio.Event()
    ledger = desk.open()
    ledger.writer.held_up = said.set
    with structlog.testing.capture_logs() as logs:
        writing = asyncio.ensure_future(ledger.writer.until_taken(lambda: _frozen(thawed)))
        await asyncio.wait_for(said.wait(), 5)
        assert ledger.writer.error == "a write waits for the store: it does not answer"
        thawed.set()
        await writing
    assert [entry["event"] for entry in logs] == ["store_lost", "store_back"]
    assert ledger.writer.error is None


async def _frozen(thawed: asyncio.Event) -> None:
    await thawed.wait()


async def test_another_writer_fences_this_one_off_and_nothing_is_told(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.load()
    desk.log.commits.append(commit_of(1, updated(5, 1)))
    with pytest.raises(Fenced):
        await ledger.commit((updated(5, 7),), head_at(5))
    assert (ledger.seq, ledger.balances, desk.published) == (0, {}, [])


# --- following -------------------------------------------------------------------------------------------------------


async def test_blocks_that_change_nothing_move_the_checkpoint_now_and_then(desk: Desk) -> None:
    ledger = desk.open()
    for number in range(1, 31):
        await ledger.follow(HeadChain(8, (head_at(number),)))
        desk.now += 0.5
    assert desk.checkpoints.follows == 3
    assert desk.checkpoints.heads[STREAM] == (head_at(21),)


@pytest.mark.parametrize("together", [False, True])
async def test_who_tells_goes_first_when_something_was_written(desk: Desk, together: bool) -> None:
    """What the chain does next (status, metrics, a line of the log, a checkpoint) has time until clients know."""
    order: list[str] = []

    def publish(_commit: Commit) -> None:
        asyncio.get_running_loop().call_soon(order.append, "told")

    ledger = desk.open(publish=publish)
    await ledger.load()
    async with ledger.writer.together() if together else nullcontext():
        await ledger.commit((updated(1, 5),), head_at(1))
    order.append("goes on")
    assert order == ["told", "goes on"]


async def test_a_checkpoint_that_cannot_be_saved_is_no_reason_to_wait(desk: Desk) -> None:
    ledger = desk.open()
    desk.checkpoints.troubles = [StoreUnavailable("no primary")]
    await ledger.follow(HeadChain(8, (head_at(1),)))
    assert "no primary" in (ledger.writer.error or "")


async def test_a_reorg_without_records_is_kept_before_anything_is_built_on_it(desk: Desk) -> None:
    """The log says that this Transfer leads to no record yet, and no later commit says that it is orphaned."""
    desk.checkpoints = FakeCheckpoints({STREAM: (head_at(1),)})
    ledger = desk.open()
    await ledger.commit((replace(updated(1, 5), holding=Holding(USDC, wallet(0))),), head_at(1))
    ledger.note((LOG,), ())
    await ledger.commit((StreamStale(1, "no node", 2),), head_at(2))
    desk.checkpoints.troubles = [StoreUnavailable("no primary"), StoreUnavailable("no primary")]
    await ledger.roll_back(HeadChain(8, (head_at(1),)), ())
    await ledger.commit((updated(2, 7, fork="b"),), head_at(2, "b", "a"))
    again = desk.open()
    await again.load()
    assert again.trails.logs == ledger.trails.logs == {}


# --- too many logs ---------------------------------------------------------------------------------------------------


def logs_at(number: int, count: int, sender: int = 1) -> list[Transfer]:
    there = LOG._replace(sender=wallet(sender), block_hash=head_at(number).hash, block_number=number)
    return [there._replace(log_index=index) for index in range(count)]


async def test_logs_that_led_to_no_record_are_kept_in_bounds_and_a_new_life_knows_whose_were_too_many(
    desk: Desk,
) -> None:
    desk.checkpoints = FakeCheckpoints({STREAM: (head_at(1),)})
    spammed, other = Holding(USDC, wallet(0)), Holding(USDC, wallet(1))
    ledger = desk.open()
    both = [replace(updated(1, 5), holding=each) for each in (spammed, other)]
    await ledger.commit(both, head_at(1))
    ledger.note(logs_at(2, 2 * MOST_LOGS, sender=8), ())
    ledger.note(logs_at(3, 1), {spammed})
    ledger.note(logs_at(4, 2 * MOST_LOGS, sender=8), ())
    await ledger.commit((StreamStale(1, "no node", 4),), head_at(4))
    (_, commit) = desk.published
    assert (commit.noted, commit.lost) == (tuple(logs_at(3, 1)), (spammed,))
    again = desk.open()
    await again.load()
    assert again.trails.logs == ledger.trails.logs == {spammed: None, other: (logs_at(3, 1)[0],)}
    await ledger.commit((StreamStale(1, "no node", 4),), head_at(4))
    assert desk.published[-1].lost == ()


async def test_logs_of_a_thousand_quiet_blocks_do_not_pile_up_for_the_next_commit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_LOGS_IN_ALL", 40)
    ledger = desk.open()
    wallets = [Holding(USDC, wallet(who)) for who in range(500)]
    await ledger.commit([replace(updated(1, 5), holding=each) for each in wallets], head_at(1))
    for number, each in enumerate(wallets, 2):
        log = logs_at(number, 1)[0]._replace(sender=each.solver, recipient=wallet(9_999))
        ledger.note([log._replace(log_index=index) for index in range(MOST_LOGS)], ())
        ledger.note([log._replace(log_index=MOST_LOGS)], ())
    await ledger.commit((StreamStale(1, "no node", 4),), head_at(4))
    assert len(desk.published[-1].noted) <= 80 + MOST_LOGS
    assert set(desk.published[-1].lost) == set(wallets)


async def test_facts_with_many_logs_are_split_into_more_commits_than_others(desk: Desk) -> None:
    ledger = desk.open()
    many = [replace(updated(5, 7, who=who), transfers=tuple(logs_at(5, 4_000))) for who in range(20)]
    await ledger.commit(many, head_at(5))
    sizes = [
        sum(len(fact.transfers) for fact in commit.facts if isinstance(fact, BalanceUpdated))
        for commit in desk.published
    ]
    assert (sum(sizes), max(sizes)) == (80_000, 9 * 4_000)
    assert [commit.checkpoint is not None for commit in desk.published] == [False, False, True]


# --- what a reorg may take back --------------------------------------------------------------------------------------


async def test_updates_above_a_block_come_in_the_order_they_were_told(desk: Desk) -> None:
    ledger = desk.open()
    for number in (5, 6, 7):
        await ledger.commit((updated(number, number, who=1), updated(number, number)), head_at(number))
    assert [(u.block.number, u.holding) for u in ledger.above(5)] == [
        (6, holding(1)),
        (6, holding(0)),
        (7, holding(1)),
        (7, holding(0)),
    ]
    assert ledger.above(7) == []


async def test_what_was_taken_back_is_not_taken_back_again(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.commit((updated(3, 3),), head_at(3))
    await ledger.commit((updated(5, 5, 3), updated(5, 9, who=1)), head_at(5))
    await ledger.commit(roll_back(ledger, 4, {holding(0): 3, holding(1): 0}), head_at(4))
    assert ledger.balances == {holding(0): 3, holding(1): 0}
    assert ledger.above(4) == []
    assert [update.block.number for update in ledger.above(0)] == [3]


async def test_a_record_made_by_a_reorg_is_taken_back_by_a_deeper_one(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.commit((updated(5, 7, None),), head_at(5))
    await ledger.commit(roll_back(ledger, 4, {holding(): 2}), head_at(4))
    await ledger.commit(roll_back(ledger, 3, {holding(): 1}), head_at(3))
    desk.project()
    assert {(key.number, record.balance) for key, record in desk.books.records.items()} == {(3, 1)}
    assert {record.block for record in desk.books.current.values()} == {head_at(3).ref}


async def test_after_a_resync_nothing_below_it_is_left_to_take_back(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.commit((updated(9, 7),), head_at(9))
    await ledger.commit((StreamResync(1, "deep", head_at(6, "b").ref, 2), updated(6, 8, 7, fork="b")), head_at(6, "b"))
    assert [update.block for update in ledger.above(0)] == [head_at(6, "b").ref]


async def test_after_a_deep_reorg_only_what_it_tells_is_known(desk: Desk) -> None:
    ledger = desk.open()
    await ledger.commit((updated(9, 7), updated(9, 5, who=1), updated(9, 3, who=2)), head_at(9))
    confirmed = (Confirmed(holding(1), 5, TokenInfo()),)
    resync = StreamResync(1, "deep", head_at(6, "b").ref, 2, confirmed)
    await ledger.commit((resync, updated(6, 8, 7, fork="b")), head_at(6, "b"))
    assert ledger.balances == {holding(0): 8, holding(1): 5}
    loaded = desk.open()
    await loaded.load()
    assert loaded.balances == ledger.balances


async def test_updates_that_no_reorg_within_the_window_reaches_are_forgotten() -> None:
    desk = Desk(window=8)
    ledger = desk.open()
    for number in range(1, 200):
        await ledger.commit((updated(number, number, number - 1),), head_at(number))
    kept = [update.block.number for update in ledger.above(0)]
    assert kept[-8:] == list(range(192, 200))
    assert len(kept) <= 2 * 8 + 2


# --- loading ---------------------------------------------------------------------------------------------------------


async def test_an_empty_store_is_a_first_start(desk: Desk) -> None:
    ledger = desk.open()
    known = await ledger.load()
    assert (known.tip, known.depth, ledger.seq, ledger.balances) == (None, 8, 0, {})


async def test_a_new_life_goes_on_where_the_log_ends(desk: Desk) -> None:
    first = desk.open()
    await first.load()
    await first.commit((updated(5, 7),), head_at(5))
    await first.commit((updated(6, 9, 7),), head_at(6))
    desk.project()
    second = desk.open()
    known = await second.load()
    assert known.tip == head_at(6)
    assert (second.seq, second.balances) == (2, {holding(): 9})
    assert second.above(0) == first.above(0)


async def test_a_new_life_knows_what_was_committed_and_not_yet_projected(desk: Desk) -> None:
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    desk.project()
    await first.commit((updated(6, 9, 7), updated(6, 1, None, who=1)), head_at(6))
    second = desk.open()
    await second.load()
    assert second.balances == {holding(0): 9, holding(1): 1}


async def test_natives_that_were_read_on_an_orphaned_branch_are_not_taken_for_read_by_the_next_life(
    desk: Desk,
) -> None:
    """They are read every few blocks only, and what changed in between is searched for from there on."""
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    first.natives_at = 5
    await first.save(HeadChain(8, tuple(head_at(number) for number in range(1, 6))))
    async with first.writer.together():
        await first.roll_back(HeadChain(8, (head_at(3),)), roll_back(first, 3, {holding(): 0}))
        await first.commit((replace(updated(4, 8, fork="b"), holding=Holding(USDC, wallet(0))),), head_at(4, "b", "a"))
    again = desk.open()
    await again.load()
    assert again.natives_at == 3


async def test_a_reorg_that_takes_nothing_back_is_known_to_the_next_life_where_natives_were_read(desk: Desk) -> None:
    """No commit tells of it, and those that follow sit on a branch on which nobody has read them."""
    first = desk.open()
    await first.commit((updated(2, 7),), head_at(2))
    first.natives_at = 5
    await first.save(HeadChain(8, tuple(head_at(number) for number in range(1, 6))))
    await first.roll_back(HeadChain(8, tuple(head_at(number) for number in range(1, 5))), ())
    await first.commit((replace(updated(6, 8, fork="b"), holding=Holding(USDC, wallet(0))),), head_at(6, "b"))
    again = desk.open()
    known = await again.load()
    assert (again.natives_at, [head.number for head in known.heads]) == (4, [1, 2, 3, 4, 6])


async def test_a_new_life_goes_on_at_the_block_that_was_reached_not_at_the_last_change(desk: Desk) -> None:
    first = desk.open()
    for number in (3, 5):
        await first.commit((updated(number, number),), head_at(number))
    heads = tuple(head_at(number) for number in range(2, 9))
    await first.save(HeadChain(8, heads))
    assert (await desk.open().load()).heads == heads


async def test_commits_above_the_stored_heads_go_on_top(desk: Desk) -> None:
    desk.checkpoints = FakeCheckpoints({STREAM: (head_at(1), head_at(2))})
    first = desk.open()
    await first.commit((updated(4, 7),), head_at(4))
    assert (await desk.open().load()).heads == (head_at(1), head_at(2), head_at(4))


async def test_no_block_is_known_below_what_a_reorg_may_take_back() -> None:
    """Else one to an older block would leave the records above it: they are forgotten with the window."""
    desk = Desk(window=4)
    desk.checkpoints = FakeCheckpoints({STREAM: (head_at(1), head_at(2), head_at(3))})
    first = desk.open()
    for number in (5, 7):
        await first.commit((updated(number, number),), head_at(number))
    assert (await desk.open().load()).heads == (head_at(5), head_at(7))


async def test_a_reorg_after_the_heads_were_stored_cuts_them(desk: Desk) -> None:
    desk.checkpoints = FakeCheckpoints({STREAM: tuple(head_at(number) for number in range(1, 6))})
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    await first.commit(roll_back(first, 3, {holding(): 0}), head_at(3))
    second = desk.open()
    assert (await second.load()).tip == head_at(3)
    assert second.above(0) == first.above(0)
    await first.commit((updated(4, 8, 0, fork="b"),), head_at(4, "b", "a"))
    third = desk.open()
    assert (await third.load()).heads == (*(head_at(number) for number in (1, 2, 3)), head_at(4, "b", "a"))
    assert third.balances == {holding(): 8}


async def test_blocks_that_were_stored_after_a_commit_are_not_cut_by_it(desk: Desk) -> None:
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    await first.commit(roll_back(first, 3, {holding(): 0}), head_at(3))
    heads = (*(head_at(number) for number in (2, 3)), head_at(4, "b", "a"), head_at(5, "b"), head_at(6, "b"))
    await first.save(HeadChain(8, heads))
    assert (await desk.open().load()).heads == heads


async def test_a_deep_reorg_leaves_none_of_the_stored_blocks_that_it_took_back(desk: Desk) -> None:
    desk.checkpoints = FakeCheckpoints({STREAM: tuple(head_at(number) for number in range(1, 6))})
    await desk.open().commit((StreamResync(1, "deep", head_at(9, "b").ref, 2),), head_at(9, "b"))
    assert (await desk.open().load()).heads == (head_at(2), head_at(9, "b"))


async def test_a_split_commit_that_was_cut_short_by_a_crash_is_remembered_and_not_followed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT_FACTS", 1)
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    desk.log.troubles = []
    await first.commit((updated(6, 8, 7), updated(6, 9, None, who=1)), head_at(6))
    desk.log.commits.pop()
    second = desk.open()
    assert (await second.load()).tip == head_at(5)
    assert (second.seq, second.balances) == (2, {holding(): 8})
    assert [update.block.number for update in second.above(5)] == [6]


async def test_more_commits_than_a_page_are_all_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    first = desk.open()
    for number in range(1, 9):
        await first.commit((updated(number, number, number - 1),), head_at(number))
    second = desk.open()
    await second.load()
    assert second.above(0) == first.above(0)
    assert second.balances == first.balances


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["grow", "grow", "reorganize", "replace", "stale", "project", "save"]),
        st.integers(1, 4),
        st.integers(0, 3),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(STEPS)
async def test_a_new_life_holds_exactly_what_the_old_one_held(steps: list[tuple[str, int, int]]) -> None:
    desk = Desk(window=50)
    first = desk.open()
    known = HeadChain(50, (head_at(0),))
    forks = 0
    for kind, size, value in steps:
        tip = known.heads[-1]
        if kind == "grow":
            fork = "abcdef"[forks % 6]
            head = head_at(tip.number + 1, fork, tip.hash[2])
            if first.balances.get(holding(size)) != value:
                fact = updated(head.number, value, first.balances.get(holding(size)), size, fork)
                await first.commit((fact,), head)
            known = known.extend(head)
        elif kind in ("reorganize", "replace"):
            forks += 1
            ancestor = known.heads[max(0, len(known.heads) - 1 - size)]
            orphaned = first.above(ancestor.number)
            values = {update.holding: update.previous or 0 for update in reversed(orphaned)}
            known = known.cut(ancestor.hash)
            async with first.writer.together():
                await first.roll_back(known, reverts(orphaned, first.balances, values, ancestor.ref))
                if kind == "replace":
                    head = head_at(ancestor.number + 1, "abcdef"[forks % 6], ancestor.hash[2])
                    balance = first.balances.get(holding(value))
                    fact = updated(head.number, 9 + forks, balance, value, "abcdef"[forks % 6])
                    await first.commit((fact,), head)
                    known = known.extend(head)
        elif kind == "stale":
            await first.commit((StreamStale(1, "no node", tip.number),), tip)
        elif kind == "project":
            desk.project()
        else:
            await first.save(known)
    second = desk.open()
    loaded = await second.load()
    assert (second.seq, second.balances, second.above(-1)) == (first.seq, first.balances, first.above(-1))
    assert loaded.tip is None or all(below.number < above.number for below, above in pairwise(loaded.heads))


# --- what the next life has to know ----------------------------------------------------------------------------------


async def test_who_was_not_watched_for_a_moment_is_known_to_the_next_life_though_nothing_was_told_since(
    desk: Desk,
) -> None:
    both, one = (Watch(solvers=frozenset(map(wallet, wallets))) for wallets in ((0, 1), (0,)))
    known = HeadChain(8, (head_at(5),))
    ledger = desk.open()
    await ledger.load(both)
    await ledger.commit((updated(5, 7), updated(5, 8, who=1)), head_at(5))
    await ledger.keep(known)
    for before, after in ((both, one), (one, both)):
        ledger.rewatch(before, after)
        await ledger.keep(known)
    desk.project()
    again = desk.open()
    await again.load(both)
    assert again.returned == ledger.returned == {holding(1)}
    await again.commit((updated(6, 9, 8, who=1),), head_at(6))
    third = desk.open()
    await third.load(both)
    assert not third.returned


async def test_what_was_read_on_a_branch_that_was_left_in_silence_is_not_taken_for_known(desk: Desk) -> None:
    """A reorg told what a native balance was at block 7; the next one, to block 4, took back no record."""
    ledger = desk.open()
    await ledger.load()
    await ledger.commit((updated(3, 7),), head_at(3))
    ledger.natives_at = 3
    await ledger.commit((updated(8, 9, 7),), head_at(8))
    await ledger.roll_back(HeadChain(8, (head_at(7),)), roll_back(ledger, 7, {holding(): 7}))
    await ledger.roll_back(HeadChain(8, (head_at(4),)), ())
    desk.project()
    again = desk.open()
    await again.load()
    assert again.native_since == {holding(): 4}
    await again.commit((updated(6, 8, 7, fork="b"),), head_at(6, "b"))
    third = desk.open()
    await third.load()
    assert third.native_since == {holding(): 6}
