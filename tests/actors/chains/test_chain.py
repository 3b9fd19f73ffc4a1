"""A chain's actor: what it does with heads, reorgs, orders and restarts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.messages import Refresh
from indexer.domain.chain import NATIVE, Head, Holding
from indexer.domain.following.headchain import block_seconds
from indexer.domain.following.views import BlockView
from indexer.domain.telling.facts import BalanceReverted, StreamResync
from indexer.errors import BlockUnknown, GivenUp, Impossible, NodeUnreachable, WrongChain
from tests.actors.chains.stage import ALICE, BOB, CAROL, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE, WATCH


@in_virtual_time
async def test_everything_watched_is_read_once_at_the_first_head() -> None:
    async with staged() as stage:
        firsts = stage.updates("first")
        assert {fact.holding for fact in firsts} == WATCH.holdings()
        assert {fact.block.hash for fact in firsts} == {stage.world.tip.hash}
        assert stage.state() == "live"
        assert stage.status.ready


@in_virtual_time
async def test_a_transfer_becomes_one_commit_with_its_transaction() -> None:
    async with staged() as stage:
        before = len(stage.commits)
        head = stage.world.pay(USD, ALICE, BOB, 4)
        await stage.hear(head)
        (commit,) = stage.commits[before:]
        assert [(fact.holding.solver, fact.change, fact.cause) for fact in stage.updates()] == [
            (ALICE, -4, "transfer"),
            (BOB, 4, "transfer"),
        ]
        assert {fact.transactions for fact in stage.updates()} == {(f"0x{head.number:064x}",)}
        assert commit.checkpoint is not None
        assert commit.checkpoint.head == head


@in_virtual_time
async def test_a_native_change_is_seen_without_any_log() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 77))
        (fact,) = stage.updates()
        assert (fact.holding, fact.balance, fact.cause) == (Holding(NATIVE, BOB), 77, "native")


@in_virtual_time
async def test_a_block_of_nothing_is_one_question_and_a_surprise_two() -> None:
    async with staged() as stage:
        asked = stage.node.questions
        await stage.hear(stage.world.mine(busy=0))
        assert stage.node.questions - asked == 1
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert stage.node.questions - asked == 3


@in_virtual_time
async def test_a_repeated_head_asks_and_tells_nothing() -> None:
    async with staged() as stage:
        head = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(head)
        asked, told = stage.node.questions, len(stage.facts)
        await stage.hear(head, head)
        assert (stage.node.questions, len(stage.facts)) == (asked, told)


@in_virtual_time
async def test_missed_heads_are_fetched_before_the_new_one() -> None:
    async with staged() as stage:
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(100)]
        await stage.hear(heads[-1])
        assert [fact.block.hash for fact in stage.updates()] == [head.hash for head in heads]
        assert stage.status.lag_blocks == 0


@in_virtual_time
async def test_a_reorg_is_a_retraction_and_then_the_new_branch() -> None:
    async with staged() as stage:
        ancestor = stage.world.tip
        orphan = stage.world.pay(USD, OUTSIDE, BOB, 5)
        await stage.hear(orphan)
        told = len(stage.facts)
        stage.world.canonical.pop()
        await stage.hear(stage.world.pay(USD, OUTSIDE, CAROL, 6))
        reverted, *updates = stage.facts[told:]
        assert isinstance(reverted, BalanceReverted)
        assert reverted.block == ancestor.ref
        assert [row.hash for row in reverted.orphaned] == [orphan.hash]
        assert [(fact.holding.solver, fact.change) for fact in updates] == [(CAROL, 6)]  # type: ignore[union-attr] # updates
        assert not any(row.block.hash == orphan.hash for row in stage.disk.kept.records.values())


@in_virtual_time
async def test_a_reorg_of_the_very_blocks_that_were_followed_first_is_a_retraction_as_well() -> None:
    async with staged() as stage:
        ancestor = stage.world.canonical[-3].head
        held = stage.world.canonical[-3].balances
        told = len(stage.facts)
        await stage.hear(stage.world.reorg(2))
        assert not [fact for fact in stage.facts if isinstance(fact, StreamResync)]
        reverted = [fact for fact in stage.facts[told:] if isinstance(fact, BalanceReverted)]
        assert {fact.holding for fact in reverted} == stage.watch.holdings()
        assert all(fact.block == ancestor.ref and fact.balance == held.get(fact.holding, 0) for fact in reverted)


@in_virtual_time
async def test_a_reorg_says_which_blocks_it_left_and_wakes_who_fills_history() -> None:
    """Of some of them there may be records that were filled in, and no others."""
    async with staged() as stage:
        left = [block.head for block in stage.world.canonical[-2:]]
        told = len(stage.facts)
        await stage.hear(stage.world.reorg(2))
        reverted = [fact for fact in stage.facts[told:] if isinstance(fact, BalanceReverted)]
        assert reverted[0].left == tuple((head.number, head.hash) for head in left)
        assert not any(fact.left for fact in reverted[1:])
        assert stage.branches_left == 1


@in_virtual_time
async def test_what_the_first_block_stands_on_tells_nothing_of_how_long_blocks_take() -> None:
    async with staged() as stage:
        assert len(stage.follower.known.heads) > 1
        assert block_seconds(stage.follower.known) == 0


@in_virtual_time
async def test_a_node_that_lags_is_no_reorg() -> None:
    async with staged() as stage:
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(6)]
        await stage.hear(heads[-1])
        stage.node.shown_below = heads[2].number + 1
        stranger = Head(heads[2].number + 1, heads[0].parent, heads[2].hash, 0)
        await stage.hear(heads[2], stranger)
        assert not any(isinstance(fact, BalanceReverted | StreamResync) for fact in stage.facts)
        assert stage.status.block == heads[-1].number


@in_virtual_time
async def test_a_head_whose_block_comes_late_to_the_node_that_is_asked_is_followed_without_another() -> None:
    async with staged() as stage:
        stage.node.shown_below = len(stage.world.canonical)
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(2)]
        await stage.hear(heads[-1])
        stage.node.shown_below += 1
        await stage.settle(3)
        assert stage.status.block == heads[0].number
        stage.node.shown_below = None
        await stage.settle(6)
        assert stage.status.block == heads[1].number


@in_virtual_time
async def test_a_reorg_that_comes_late_to_the_node_that_is_asked_is_repaired_without_another_head() -> None:
    async with staged() as stage:
        orphan = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(orphan)
        old = stage.world.canonical[:]
        new = stage.world.canonical[:-1]
        stage.world.canonical = new
        head = stage.world.pay(USD, OUTSIDE, BOB, 2)
        stage.world.canonical = old
        await stage.hear(head)
        stage.world.canonical = new
        await stage.settle(6)
        assert stage.status.block == head.number
        assert [fact.change for fact in stage.updates()] == [1, 2]


@in_virtual_time
async def test_an_orphan_that_was_announced_last_is_left_for_the_next_head() -> None:
    async with staged() as stage:
        orphan = stage.world.mine()
        stage.world.canonical.pop()
        await stage.hear(orphan)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 2))
        assert [fact.change for fact in stage.updates()] == [2]
        assert stage.state() == "live"


@in_virtual_time
async def test_a_silent_mint_is_found_by_the_sync_and_recorded_there() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(Holding(USD, ALICE), 1_000))
        assert not stage.updates()
        await stage.settle(301)
        (fact,) = stage.updates()
        assert (fact.holding, fact.balance, fact.cause) == (Holding(USD, ALICE), 1_000, "sync")
        assert not fact.apart, "it was watched all along"
        assert fact.block == stage.world.tip.ref


@in_virtual_time
async def test_a_refresh_reads_at_the_newest_block_and_commits_what_differs() -> None:
    async with staged() as stage:
        head = stage.world.put(Holding(USD, ALICE), 55)
        answer = await stage.ref.ask(Refresh(Holding(USD, ALICE)), block=False)
        assert answer == (55, head.ref)
        assert [(fact.balance, fact.cause) for fact in stage.updates()] == [(55, "refresh")]


@in_virtual_time
async def test_a_refresh_that_nobody_waits_for_any_more_asks_nothing() -> None:
    async with staged() as stage:
        asked = stage.node.questions
        with pytest.raises(NodeUnreachable):
            await stage.ref.ask(Refresh(Holding(USD, ALICE), asyncio.get_running_loop().time() - 1), block=False)
        assert stage.node.questions == asked


@in_virtual_time
async def test_a_refresh_of_what_cannot_be_read_says_why() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "it reverts"
        with pytest.raises(Impossible, match="it reverts"):
            await stage.ref.ask(Refresh(Holding(USD, ALICE)), block=False)
        assert stage.ref.is_alive()


@in_virtual_time
async def test_a_refresh_before_a_node_ever_answered_is_to_be_tried_again() -> None:
    stage = Stage()
    stage.node.error = NodeUnreachable("https://node/secret")
    stage.start()
    await stage.settle()
    with pytest.raises(GivenUp) as told:
        await stage.ref.ask(Refresh(Holding(USD, ALICE)), block=False)
    assert "secret" not in str(told.value), "it is shown to whoever asks"
    stage.node.error = WrongChain("another genesis")
    await stage.settle(5)
    with pytest.raises(Impossible, match="another genesis"):
        await stage.ref.ask(Refresh(Holding(USD, ALICE)), block=False)
    await stage.stop()


@in_virtual_time
async def test_a_token_that_cannot_be_read_is_never_zero_and_holds_up_nothing() -> None:
    stage = Stage()
    stage.node.unreadable[USD] = "it reverts"
    stage.world.mine()
    stage.start()
    await stage.settle()
    assert stage.status.ready
    assert USD not in {fact.holding.token for fact in stage.updates("first")}
    await stage.stop()


@in_virtual_time
async def test_a_deep_reorg_takes_back_what_was_not_projected_yet() -> None:
    async with staged(window=4) as stage:
        kept = stage.world.tip
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(2)]
        await stage.hear(*heads)
        for head in heads:
            stage.unproject(head)
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(4)))
        await stage.hear(stage.world.reorg(6))
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.above is not None
        assert resync.above <= kept.number


@in_virtual_time
async def test_after_a_deep_reorg_all_is_read_at_the_block_that_showed_it() -> None:
    """Behind the same address there may be a node that still syncs."""
    async with staged(window=4) as stage:
        await stage.hear(*(stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(6)))
        answers = [stage.world.reorg(6), stage.world.canonical[1].head]

        async def newest() -> Head:
            return answers.pop(0) if len(answers) > 1 else answers[0]

        stage.node.newest = newest  # type: ignore[method-assign] # first of one, then of the other
        await stage.hear(stage.world.tip)
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.block == stage.world.tip.ref


@in_virtual_time
async def test_a_restart_goes_on_from_the_checkpoint_and_tells_nothing_twice() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        await stage.stop()
        told = len(stage.facts)
        missed = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(3)]
        stage.start()
        await stage.settle()
        assert [fact.block.hash for fact in stage.facts[told:]] == [head.hash for head in missed]  # type: ignore[union-attr] # updates
        assert stage.resumed[-1].seq == told


@in_virtual_time
async def test_natives_read_every_few_blocks_are_recorded_where_they_changed() -> None:
    async with staged(native_interval=8) as stage:
        first = stage.world.put(Holding(NATIVE, BOB), 5)
        stage.world.mine(busy=0)
        second = stage.world.put(Holding(NATIVE, BOB), 9)
        heads = [first, stage.world.canonical[-2].head, second, *(stage.world.mine(busy=0) for _ in range(8))]
        for head in heads:
            await stage.hear(head)
        natives = [fact for fact in stage.updates() if fact.holding == Holding(NATIVE, BOB)]
        assert [(fact.block.hash, fact.balance) for fact in natives] == [(first.hash, 5), (second.hash, 9)]
        assert {fact.cause for fact in natives} == {"native"}


@in_virtual_time
async def test_a_block_that_vanishes_while_it_is_read_is_asked_for_anew() -> None:
    async with staged() as stage:
        look, failed = stage.node.look, list[bool]()

        async def once_unknown(*args: Any, **kwargs: Any) -> tuple[BlockView, ...]:
            if not failed:
                failed.append(True)
                raise BlockUnknown("the endpoint lags")
            return await look(*args, **kwargs)

        stage.node.look = once_unknown  # type: ignore[method-assign] # a load balancer's second node
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        assert [fact.change for fact in stage.updates()] == [3]
        assert stage.state() == "live"
