"""Blocks whose state is gone are passed over, and nobody claims to know of them."""

from __future__ import annotations

from typing import Any

from indexer.domain.chain import NATIVE, Head, Holding
from indexer.domain.following.views import BlockView
from indexer.domain.recording.records import HoldingKey
from indexer.domain.telling.facts import StreamResync
from indexer.errors import StateMissing
from tests.actors.chains.stage import BOB, CAROL, USD, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import CHAIN_ID, OUTSIDE, WATCH


@in_virtual_time
async def test_a_gap_whose_state_is_pruned_is_said_not_papered_over() -> None:
    async with staged() as stage:
        for _ in range(40):
            stage.world.pay(USD, OUTSIDE, BOB, 1)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        resyncs = [fact for fact in stage.facts if isinstance(fact, StreamResync)]
        assert len(resyncs) == 1
        assert "pruned" in resyncs[0].reason
        assert [(fact.change, fact.cause) for fact in stage.updates()] == [(40, "resync")]


@in_virtual_time
async def test_what_was_passed_over_is_told_with_everybody_who_was_followed_until_then() -> None:
    async with staged() as stage:
        trailing = stage.world.pay(USD, BOB, BOB, 1)
        await stage.hear(trailing)
        for _ in range(40):
            stage.world.pay(USD, OUTSIDE, BOB, 1)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.passed is not None
        assert resync.passed.after == trailing.ref
        assert set(resync.passed.followed) == WATCH.holdings()
        assert resync.passed.trailing == (Holding(USD, BOB),)
        assert stage.passed_over == [stage.commits[-1].first_seq]


@in_virtual_time
async def test_nobody_goes_on_from_a_token_that_could_not_be_read_when_it_moved_last() -> None:
    async with staged() as stage:
        held = Holding(USD, BOB)
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        del stage.node.unreadable[USD]
        for _ in range(60):
            stage.world.mine(busy=0)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.passed is not None
        assert held not in resync.passed.followed
        assert Holding(USD, CAROL) in resync.passed.followed


@in_virtual_time
async def test_nobody_goes_on_from_natives_that_were_not_read_right_before_a_gap() -> None:
    async with staged(native_interval=50) as stage:
        await stage.hear(*(stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(3)))
        for _ in range(60):
            stage.world.pay(USD, OUTSIDE, BOB, 1)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.passed is not None
        assert NATIVE not in {holding.token for holding in resync.passed.followed}


@in_virtual_time
async def test_what_moved_in_a_pruned_gap_and_came_back_is_not_said_to_have_held_there() -> None:
    async with staged() as stage:
        held = Holding(USD, BOB)
        before = stage.disk.kept.current[HoldingKey(CHAIN_ID, held)]
        for sender, recipient in ((OUTSIDE, BOB), (BOB, OUTSIDE)) * 20:
            stage.world.pay(USD, sender, recipient, 1)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        confirmed = stage.disk.kept.current[HoldingKey(CHAIN_ID, held)]
        assert (confirmed.balance, confirmed.change, confirmed.cause) == (before.balance, 0, "resync")
        assert confirmed.block == stage.world.tip.ref
        assert before.holds_until(confirmed) == before.block.number
        assert not [fact for fact in stage.updates() if fact.cause == "resync"]


@in_virtual_time
async def test_a_gap_that_was_orphaned_while_it_was_read_is_a_reorg_and_no_gap() -> None:
    async with staged() as stage:
        orphan = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(orphan)
        gap = tuple(stage.world.mine(busy=0) for _ in range(2))
        headers, look = stage.node.headers, stage.node.look

        async def before_the_reorg(*_args: Any) -> Any:
            stage.node.headers = headers  # type: ignore[method-assign] # only once
            return gap

        async def pruned_by_then(*_args: Any, **_more: Any) -> tuple[BlockView, ...]:
            stage.node.look = look  # type: ignore[method-assign] # only once
            stage.world.reorg(3)
            raise StateMissing("the state of an orphan is gone")

        script: Any = (before_the_reorg, pruned_by_then)
        stage.node.headers, stage.node.look = script  # type: ignore[method-assign] # a script
        await stage.hear(gap[-1])
        await stage.settle(6)
        assert stage.status.block == stage.world.tip.number
        assert not any(row.block.hash == orphan.hash for row in stage.disk.kept.records.values())


@in_virtual_time
async def test_a_gap_without_state_is_not_bridged_at_our_own_tip() -> None:
    """The node that was asked for the newest block is behind: what our tip changed would be told as nothing."""
    async with staged() as stage:
        changed = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(changed)
        gap = [stage.world.mine(busy=0) for _ in range(3)]
        look = stage.node.look

        async def pruned(*_args: Any, **_more: Any) -> tuple[BlockView, ...]:
            stage.node.look = look  # type: ignore[method-assign] # only once
            raise StateMissing("no state")

        async def newest() -> Head:
            stage.node.newest = well  # type: ignore[method-assign] # only once
            return changed

        well = stage.node.newest
        stage.node.look, stage.node.newest = pruned, newest  # type: ignore[method-assign] # a script
        await stage.hear(gap[-1])
        await stage.settle(6)
        assert stage.status.block == stage.world.tip.number
        (row,) = (row for row in stage.disk.kept.records.values() if row.block == changed.ref)
        assert (row.change, row.cause) == (1, "transfer")
