"""A chain that nobody followed for a while: clients that came meanwhile were told of none of its balances."""

from __future__ import annotations

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Holding
from indexer.domain.telling.facts import StreamResync
from tests.actors.chains.stage import BOB, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.service import STREAM
from tests.sim.world import OUTSIDE, WATCH

ALL = sorted(WATCH.holdings())


async def leave(stage: Stage) -> int:
    """The chain is taken out of the file; how many updates were told until then."""
    await stage.stop()
    await stage.store.checkpoints.leave(STREAM, stage.commits[-1].last_seq)
    return len(stage.updates())


async def begin_again(stage: Stage, before: int) -> list[BalanceUpdated]:
    """What the next life tells of balances."""
    stage.start()
    await stage.settle()
    return stage.updates()[before:]


@in_virtual_time
async def test_each_balance_is_told_once_though_it_holds_what_it_held() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        before = await leave(stage)
        stage.world.mine(busy=0)
        told = await begin_again(stage, before)
        assert sorted(update.holding for update in told) == ALL
        assert {(update.change, update.cause, update.apart) for update in told} == {(0, "sync", False)}


@in_virtual_time
async def test_what_moved_meanwhile_is_told_where_it_moved_and_not_again() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        before = await leave(stage)
        stage.world.pay(USD, OUTSIDE, BOB, 3)
        stage.world.mine(busy=0)
        told = await begin_again(stage, before)
        assert sorted(update.holding for update in told) == ALL
        assert [update.cause for update in told if update.holding == Holding(USD, BOB)] == ["transfer"]


@in_virtual_time
async def test_a_balance_that_is_recorded_in_the_newest_block_is_told_with_the_next_one() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        before = await leave(stage)
        told = await begin_again(stage, before)
        assert Holding(USD, BOB) not in {update.holding for update in told}
        await stage.hear(stage.world.mine(busy=0))
        assert sorted(update.holding for update in stage.updates()[before:]) == ALL


@in_virtual_time
async def test_a_later_life_tells_none_of_them_again() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        before = await leave(stage)
        stage.world.mine(busy=0)
        count = len(await begin_again(stage, before))
        await stage.stop()
        stage.world.mine(busy=0)
        assert count == len(ALL)
        assert await begin_again(stage, before + count) == []


@in_virtual_time
async def test_where_blocks_cannot_be_read_any_more_each_is_told_with_the_resync() -> None:
    async with staged(window=8) as stage:
        await stage.hear(stage.world.mine(busy=0))
        before = await leave(stage)
        for _ in range(5):
            stage.world.mine(busy=0)
        stage.node.pruned_below = stage.world.tip.number
        told = await begin_again(stage, before)
        (resync,) = [fact for fact in stage.facts if isinstance(fact, StreamResync)]
        assert resync.confirmed == ()
        assert sorted(update.holding for update in told) == ALL
        assert {update.cause for update in told} == {"resync"}
