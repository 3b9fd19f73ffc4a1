"""A token that stops telling our balances: nobody claims that they hold, and it is asked until it tells them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import structlog.testing

from actors.messages import Refresh, WatchChanged
from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from indexer.domain.telling.facts import BalanceReverted, StreamResync
from indexer.errors import Impossible
from tests.actors.chains.stage import ALICE, BOB, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.service import STREAM
from tests.sim.world import OUTSIDE, TOKENS, WALLETS, WATCH

EUR = TOKENS[1]
THEIRS = Holding(USD, BOB)
ALL = {Holding(USD, wallet) for wallet in WALLETS}
ROUND_SECONDS = 300.0


def counted(stage: Stage, name: str) -> float:
    (line,) = [
        line
        for line in stage.metrics.render()[0].decode().splitlines()
        if line.startswith(f'indexer_{name}{{chain="sim"}} ')
    ]
    return float(line.rsplit(" ", 1)[1])


def said(logs: Sequence[Mapping[str, Any]]) -> list[object]:
    return [entry["event"] for entry in logs if str(entry["event"]).startswith("token_")]


@in_virtual_time
async def test_a_balance_that_cannot_be_read_at_its_log_holds_up_to_the_block_before() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.hear(head := stage.world.pay(USD, OUTSIDE, BOB, 3), stage.world.mine(busy=0))
        assert stage.status.unread.held == {THEIRS: head.number - 1}
        since = stage.status.unread.tokens[USD]
        assert (since.block, since.reason) == (head.number, "paused")
        assert stage.state() == "live"
        assert stage.status.ready


@in_virtual_time
async def test_a_sync_finds_a_token_that_does_not_tell_any_more() -> None:
    async with staged() as stage:
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(5)))
        broke_at = stage.world.tip.number
        stage.node.unreadable[USD] = "it reverts"
        await stage.settle(ROUND_SECONDS)
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(5)))
        unread = stage.status.unread
        assert unread.held.keys() == ALL
        assert all(number < broke_at for number in unread.held.values())
        assert unread.tokens.keys() == {USD}
        assert stage.status.block == broke_at + 5


@in_virtual_time
async def test_it_is_said_once_when_it_begins_and_once_when_it_ends() -> None:
    async with staged() as stage:
        with structlog.testing.capture_logs() as logs:
            stage.node.unreadable[USD] = "paused"
            for _ in range(3):
                await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
            await stage.settle(3 * ROUND_SECONDS)
            assert said(logs) == ["token_unreadable"]
            assert counted(stage, "unreadable_tokens") == 1
            assert counted(stage, "unreadable_balances_total") > 3
            del stage.node.unreadable[USD]
            await stage.settle(ROUND_SECONDS + 20)
        assert said(logs) == ["token_unreadable", "token_readable"]
        assert counted(stage, "unreadable_tokens") == 0
        assert not stage.status.unread


@in_virtual_time
async def test_one_that_tells_again_is_read_recorded_as_sync_and_no_drift() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        await stage.settle(4 * ROUND_SECONDS)
        del stage.node.unreadable[USD]
        await stage.settle(ROUND_SECONDS + 20)
        (fact,) = stage.updates()
        assert (fact.holding, fact.change, fact.cause, fact.unexplained) == (THEIRS, 3, "sync", 0)
        assert counted(stage, "drift_balances_total") == 0
        assert not stage.status.unread


@in_virtual_time
async def test_what_did_not_move_meanwhile_is_verified_again_without_a_record() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.settle(2 * ROUND_SECONDS)
        assert stage.status.unread.held.keys() == ALL
        del stage.node.unreadable[USD]
        await stage.settle(ROUND_SECONDS + 20)
        assert not stage.status.unread
        assert not stage.updates()


@in_virtual_time
async def test_what_is_read_at_its_next_log_may_have_moved_before() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        del stage.node.unreadable[USD]
        await stage.hear(head := stage.world.pay(USD, OUTSIDE, BOB, 4))
        (fact,) = stage.updates()
        assert (fact.block, fact.change, fact.cause) == (head.ref, 7, "sync")
        assert len(fact.transactions) == 1
        assert not stage.status.unread


@in_virtual_time
async def test_what_moved_and_came_back_meanwhile_is_not_said_to_have_held_all_the_time() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3), stage.world.pay(USD, BOB, OUTSIDE, 3))
        del stage.node.unreadable[USD]
        await stage.settle(5)
        assert [(fact.holding, fact.change, fact.cause) for fact in stage.updates()] == [(THEIRS, 0, "sync")]


@in_virtual_time
async def test_so_is_what_comes_back_in_the_block_in_which_it_is_read_again() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        del stage.node.unreadable[USD]
        await stage.hear(head := stage.world.pay(USD, BOB, OUTSIDE, 3))
        (fact,) = stage.updates()
        assert (fact.holding, fact.change, fact.cause, fact.block) == (THEIRS, 0, "sync", head.ref)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 4))
        assert [(fact.change, fact.cause) for fact in stage.updates()[1:]] == [(4, "transfer")]


@in_virtual_time
async def test_one_odd_answer_is_over_in_seconds_and_not_with_the_next_round() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "it answers nothing"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        assert stage.status.unread
        del stage.node.unreadable[USD]
        await stage.settle(3)
        assert [fact.cause for fact in stage.updates()] == ["sync"]
        assert not stage.status.unread


@in_virtual_time
async def test_one_that_stays_away_is_asked_ever_more_seldom() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        before = counted(stage, "unreadable_balances_total")
        await stage.settle(4 * ROUND_SECONDS)
        # Eight times within the first round; what four rounds see of all three wallets is seen twice at most.
        assert counted(stage, "unreadable_balances_total") - before < 40


@in_virtual_time
async def test_another_that_fails_is_not_kept_waiting_by_the_first() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        await stage.settle(200)
        stage.node.unreadable[EUR] = "it answers nothing"
        await stage.hear(stage.world.pay(EUR, OUTSIDE, ALICE, 5))
        assert stage.status.unread.tokens.keys() == {USD, EUR}
        del stage.node.unreadable[EUR]
        await stage.settle(3)
        assert stage.status.unread.tokens.keys() == {USD}


@in_virtual_time
async def test_a_token_that_never_told_anything_is_shown_as_well() -> None:
    stage = Stage()
    stage.node.unreadable[USD] = "it returned no bytes"
    stage.world.mine()
    stage.start()
    await stage.settle()
    assert stage.status.ready
    assert stage.status.unread.held.keys() == ALL
    assert stage.status.unread.tokens[USD].reason == "it returned no bytes"
    del stage.node.unreadable[USD]
    await stage.settle(ROUND_SECONDS + 20)
    assert {fact.holding for fact in stage.updates("first")} == WATCH.holdings()
    assert not stage.status.unread
    await stage.stop()


@in_virtual_time
async def test_a_reorg_below_takes_back_how_far_it_held() -> None:
    async with staged() as stage:
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(6)))
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        stage.world.reorg(4, longer=2)
        stage.say_tip()
        await stage.settle(5)
        assert stage.status.unread.held[THEIRS] == stage.world.tip.number - 6


@in_virtual_time
async def test_after_a_resync_it_holds_no_further_than_what_was_followed() -> None:
    async with staged() as stage:
        followed = stage.world.tip
        stage.node.unreadable[USD] = "paused"
        for _ in range(60):
            stage.world.mine(busy=0)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        assert [fact.block for fact in stage.facts if isinstance(fact, StreamResync)] == [stage.world.tip.ref]
        assert stage.status.unread.held == dict.fromkeys(ALL, followed.number)


@in_virtual_time
async def test_the_next_life_knows_since_when_but_not_how_far_it_held() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        before = stage.status.unread
        await stage.stop()
        await stage.hear(stage.world.mine(busy=0))
        with structlog.testing.capture_logs() as logs:
            stage.start()
            await stage.settle()
        assert stage.status.unread.tokens == before.tokens
        assert stage.status.unread.held[THEIRS] == 0
        assert said(logs) == []


@in_virtual_time
async def test_a_kill_right_after_it_was_seen_does_not_make_the_balance_hold() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        kept = await stage.store.checkpoints.load(STREAM)
        assert kept is not None
        assert THEIRS in kept.mark.unread.held


@in_virtual_time
async def test_what_is_not_watched_any_more_is_not_shown() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "paused"
        await stage.settle(2 * ROUND_SECONDS)
        assert stage.status.unread
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens - {USD}, WATCH.solvers)))
        await stage.settle()
        assert not stage.status.unread
        assert counted(stage, "unreadable_tokens") == 0


@in_virtual_time
async def test_what_is_watched_again_and_cannot_be_read_stays_due() -> None:
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {BOB})))
        await stage.settle()
        stage.node.unreadable[USD] = "paused"
        stage.read.clear()
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        assert THEIRS not in frozenset().union(*stage.read)
        assert stage.status.unread.held[THEIRS] == 0
        del stage.node.unreadable[USD]
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        assert THEIRS in frozenset().union(*stage.read)
        assert stage.updates()[-1].cause == "sync"


@in_virtual_time
async def test_a_refresh_sees_both_that_it_fails_and_that_it_works_again() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "it reverts"
        with pytest.raises(Impossible):
            await stage.ref.ask(Refresh(THEIRS), block=False)
        assert stage.status.unread.held.keys() == {THEIRS}
        del stage.node.unreadable[USD]
        await stage.ref.ask(Refresh(THEIRS), block=False)
        assert not stage.status.unread


@in_virtual_time
async def test_records_of_an_orphaned_branch_of_such_a_token_are_taken_back_by_a_resync() -> None:
    async with staged() as stage:
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(3)))
        ancestor = stage.world.tip
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        stage.node.unreadable[USD] = "paused"
        stage.world.reorg(1, longer=2)
        stage.say_tip()
        await stage.settle(5)
        assert not [fact for fact in stage.facts if isinstance(fact, BalanceReverted)]
        assert stage.status.unread.held[THEIRS] <= ancestor.number
