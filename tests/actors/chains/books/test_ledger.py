"""One stream's numbers and balances: committed once, told once, and taken back once."""

from __future__ import annotations

import asyncio
import select
import socket
from contextlib import nullcontext
from dataclasses import replace

import pytest
import structlog.testing
import uvloop

from actors.chains.books import ledger as module
from actors.chains.books.writing import COMMIT_FACTS
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Holding, TokenInfo, Transfer, TxHash
from indexer.domain.following.headchain import HeadChain
from indexer.domain.history.trails import MOST_LOGS
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import Confirmed, StreamResync, StreamStale
from indexer.errors import Fenced, StoreUnavailable
from tests.actors.fakes import (
    STREAM,
    USDC,
    Desk,
    FakeCheckpoints,
    commit_of,
    head_at,
    holding,
    roll_back,
    updated,
    wallet,
)

LOG = Transfer(USDC, wallet(9), wallet(0), 5, head_at(2).hash, TxHash("0x" + "77" * 32), 0, 2)


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


def test_what_was_told_has_left_before_the_writer_goes_on() -> None:
    """uvloop sends what is written at the end of a turn: the writer must not have its own in the same one."""

    async def left() -> bool:
        near, far = socket.socketpair()
        _, client = await asyncio.open_connection(sock=near)
        told = asyncio.Event()

        async def tell() -> None:
            await told.wait()
            client.write(b"told")

        telling = asyncio.create_task(tell())
        await asyncio.sleep(0)
        await Desk().open(publish=lambda _commit: told.set()).commit((updated(5, 7),), head_at(5))
        has_left = bool(select.select([far], [], [], 0)[0])
        await telling
        client.close()
        await client.wait_closed()
        far.close()
        return has_left

    assert uvloop.run(left())


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
    assert (await again.load()).known.heads == (head_at(1), new, head_at(3, "b"))
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
        await asyncio.wait_for(said.wait(), 20)
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
