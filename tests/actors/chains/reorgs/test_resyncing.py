"""After everything was read anew: a fork below that block is repaired as any other, as far as every record is known."""

from __future__ import annotations

import pytest

from actors.chains.reorgs import resyncing
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, BlockRef, Head, Holding
from indexer.domain.recording.holes import Apart
from indexer.domain.recording.records import fold
from indexer.domain.telling.facts import BalanceReverted, Passed, StreamResync
from tests.actors.chains.stage import ALICE, BOB, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE, WATCH

WINDOW = 16
THEIRS = Holding(USD, BOB)


def told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if one document held no more than one balance."""
    monkeypatch.setattr(resyncing, "MOST_BALANCES", 1)


def orphan(stage: Stage, depth: int) -> None:
    """The newest blocks are gone; what takes their place is mined by the story."""
    del stage.world.canonical[-depth:]


def resyncs(stage: Stage) -> list[StreamResync]:
    return [fact for fact in stage.facts if isinstance(fact, StreamResync)]


def reverted(stage: Stage) -> dict[Holding, BalanceReverted]:
    return {fact.holding: fact for fact in stage.facts if isinstance(fact, BalanceReverted)}


def filled_from(block: Head, resync: StreamResync) -> Passed:
    """Nothing of what was watched is known after this block."""
    assert resync.passed is not None
    assert resync.passed.after == block.ref
    assert set(resync.passed.followed) == WATCH.holdings()
    return resync.passed


async def be_away(stage: Stage) -> None:
    """While nothing runs BOB is paid, in a block of which no node keeps the state for long."""
    await stage.stop()
    stage.world.pay(USD, OUTSIDE, BOB, 4)
    for _ in range(10):
        stage.world.mine(busy=0)


async def read_anew(stage: Stage, *after: int) -> BlockRef:
    """A reorg deeper than the window, in whose place BOB is paid these amounts in the newest blocks."""
    for _ in range(WINDOW + 2):
        await stage.hear(stage.world.mine(busy=0))
    await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
    orphan(stage, WINDOW + 2)
    for _ in range(WINDOW + 6):
        stage.world.mine(busy=0)
    for amount in after:
        stage.world.pay(USD, OUTSIDE, BOB, amount)
    stage.say_tip()
    await stage.settle(30)
    (resync,) = resyncs(stage)
    assert resync.block == stage.world.tip.ref
    return resync.block


@in_virtual_time
async def test_another_block_in_its_place_is_a_reorg_and_no_resync() -> None:
    async with staged(window=WINDOW) as stage:
        block = await read_anew(stage, 4)
        orphan(stage, 1)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 7))
        assert len(resyncs(stage)) == 1
        told = reverted(stage)
        assert told.keys() == WATCH.holdings()
        assert {fact.block.number for fact in told.values()} == {block.number - 1}
        assert told[THEIRS].balance == told[THEIRS].previous - 4
        newest = stage.updates()[-1]
        assert (newest.holding, newest.cause, newest.change, newest.block) == (
            THEIRS,
            "transfer",
            7,
            stage.world.tip.ref,
        )


@pytest.mark.parametrize("depth", [2, 5, 10])
def test_a_fork_below_it_is_followed_block_by_block(depth: int) -> None:
    @in_virtual_time
    async def story() -> None:
        async with staged(window=WINDOW) as stage:
            block = await read_anew(stage, 4)
            orphan(stage, depth)
            for amount in range(1, depth + 2):
                stage.world.pay(USD, OUTSIDE, ALICE, amount)
            stage.say_tip()
            await stage.settle(30)
            assert len(resyncs(stage)) == 1
            assert {fact.block.number for fact in reverted(stage).values()} == {block.number - depth}
            gained = [fact.change for fact in stage.updates() if fact.holding == Holding(USD, ALICE)]
            assert gained[-depth - 1 :] == list(range(1, depth + 2))

    story()


@in_virtual_time
async def test_what_was_cut_off_is_no_reason_to_believe_an_older_record() -> None:
    """The orphaned branch had told what holds at the ancestor: that record is gone, an older one says otherwise."""
    async with staged(window=WINDOW) as stage:
        await read_anew(stage, 3, 5)
        orphan(stage, 1)
        await stage.hear(stage.world.mine(busy=0))
        fact = reverted(stage)[THEIRS]
        assert fact.anchor
        assert fact.balance == stage.world.canonical[-2].balances[THEIRS] == fact.previous - 5


@in_virtual_time
async def test_after_a_gap_the_record_before_it_is_not_said_to_hold_at_the_ancestor() -> None:
    """In and out again in blocks that could not be read: what holds at the ancestor is a record of its own."""
    async with staged() as stage:
        before = stage.world.tip
        stage.world.pay(USD, OUTSIDE, BOB, 3)
        stage.world.pay(USD, BOB, OUTSIDE, 3)
        for _ in range(60):
            stage.world.mine(busy=0)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        (resync,) = resyncs(stage)
        assert resync.above is None
        orphan(stage, 1)
        await stage.hear(stage.world.mine(busy=0))
        assert len(resyncs(stage)) == 1
        fact = reverted(stage)[THEIRS]
        assert (fact.anchor, fact.block.number) == (True, resync.block.number - 1)
        assert fact.balance == stage.world.blocks[before.hash].balances[THEIRS]


@in_virtual_time
async def test_a_fork_below_the_last_canonical_record_is_another_resync() -> None:
    async with staged(window=WINDOW) as stage:
        block = await read_anew(stage)
        orphan(stage, WINDOW + 1)
        for _ in range(WINDOW + 3):
            stage.world.mine(busy=0)
        stage.say_tip()
        await stage.settle(30)
        assert [one.block for one in resyncs(stage)] == [block, stage.world.tip.ref]


@in_virtual_time
async def test_the_next_life_repairs_it_as_well() -> None:
    async with staged(window=WINDOW) as stage:
        block = await read_anew(stage, 4)
        await stage.hear(stage.world.mine(busy=0))
        await stage.stop()
        orphan(stage, 3)
        for _ in range(5):
            stage.world.mine(busy=0)
        stage.start()
        await stage.settle(30)
        assert len(resyncs(stage)) == 1
        assert {fact.block.number for fact in reverted(stage).values()} == {block.number - 2}


@in_virtual_time
async def test_a_reorg_to_a_block_without_state_is_filled_from_where_the_branches_part() -> None:
    async with staged() as stage:
        for _ in range(4):
            await stage.hear(stage.world.mine(busy=0))
        ancestor = stage.world.tip
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        orphan(stage, 1)
        for _ in range(30):
            stage.world.pay(USD, OUTSIDE, BOB, 5)
        stage.node.pruned_below = stage.world.tip.number - 8
        stage.say_tip()
        await stage.settle(30)
        (resync,) = resyncs(stage)
        assert resync.above is not None
        passed = filled_from(ancestor, resync)
        assert passed.trailing == ()


@in_virtual_time
async def test_after_a_reorg_deeper_than_the_window_it_is_filled_from_the_newest_record_that_is_left() -> None:
    async with staged(window=WINDOW) as stage:
        left = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(left)
        await read_anew(stage, 4)
        (resync,) = resyncs(stage)
        filled_from(left, resync)


@in_virtual_time
async def test_the_next_deep_reorg_is_filled_from_there_as_well_and_not_from_what_nobody_followed() -> None:
    async with staged(window=WINDOW) as stage:
        left = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(left)
        await read_anew(stage, 4)
        orphan(stage, WINDOW + 5)
        for _ in range(WINDOW + 7):
            stage.world.mine(busy=0)
        stage.say_tip()
        await stage.settle(30)
        _, again = resyncs(stage)
        filled_from(left, again)


def test_of_more_balances_than_one_fact_can_name_it_is_told_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    told_in_parts(monkeypatch)

    @in_virtual_time
    async def story() -> None:
        async with staged(window=WINDOW) as stage:
            for _ in range(WINDOW + 2):
                await stage.hear(stage.world.mine(busy=0))
            await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
            orphan(stage, WINDOW + 2)
            for _ in range(WINDOW + 6):
                stage.world.mine(busy=0)
            stage.world.pay(USD, OUTSIDE, BOB, 4)
            stage.say_tip()
            await stage.settle(30)
            told = resyncs(stage)
            assert [fact.more for fact in told] == [False, *[True] * (len(WATCH.holdings()) - 1)]
            assert len({(fact.block, fact.above, fact.reason) for fact in told}) == 1
            followed = [holding for fact in told if fact.passed is not None for holding in fact.passed.followed]
            assert sorted(followed) == sorted(WATCH.holdings())
            last = next(seq for seq, fact in reversed([*enumerate(stage.facts, 1)]) if isinstance(fact, StreamResync))
            assert stage.passed_over == [last]
            orphan(stage, 1)
            await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 7))
            assert reverted(stage).keys() == WATCH.holdings(), "each of them has a record at the block of the resync"
            assert stage.updates()[-1].change == 7

    story()


@pytest.mark.parametrize("paid", [5, 6])
@in_virtual_time
async def test_what_is_watched_again_has_a_hole_below_it_also_where_a_resync_finds_what_it_held(paid: int) -> None:
    async with staged() as stage:
        await stage.stop()
        stage.watch = Watch(WATCH.tokens, frozenset({ALICE}))
        stage.start()
        await stage.hear(stage.world.mine(busy=0))
        await stage.stop()
        stage.world.pay(USD, OUTSIDE, BOB, paid)
        stage.world.pay(USD, BOB, OUTSIDE, 5)
        for _ in range(10):
            stage.world.mine(busy=0)
        stage.node.pruned_below = stage.world.tip.number
        stage.watch = WATCH
        before = len(stage.commits)
        stage.start()
        await stage.settle(3)
        (resync,) = resyncs(stage)
        assert THEIRS not in {row.holding for row in resync.confirmed}
        (update,) = [fact for fact in stage.updates("resync") if fact.holding == THEIRS]
        assert (update.change, update.apart) == (paid - 5, True)
        holes = fold(stage.commits[before:]).holes
        assert [each.number for each in holes if isinstance(each, Apart) and each.holding == THEIRS] == [
            stage.world.tip.number
        ]


@pytest.mark.parametrize("gained", [0, 5])
@in_virtual_time
async def test_a_native_balance_that_was_not_read_before_a_resync_has_a_hole_below_it(gained: int) -> None:
    """Whatever moved it between its last reading and the last block that was followed is in no gap."""
    coin = Holding(NATIVE, BOB)
    async with staged(native_interval=7) as stage:
        await stage.settle()
        for _ in range(9):
            await stage.hear(stage.world.mine(busy=0))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        await be_away(stage)
        if gained:
            stage.world.put(coin, stage.world.canonical[-1].balances[coin] + gained)
        stage.node.pruned_below = stage.world.mine(busy=0).number
        before = len(stage.commits)
        stage.start()
        await stage.settle(3)
        (resync,) = resyncs(stage)
        assert resync.passed is not None
        assert coin not in resync.passed.followed
        (update,) = [fact for fact in stage.updates("resync") if fact.holding == coin]
        assert (update.change, update.apart) == (gained, True)
        holes = fold(stage.commits[before:]).holes
        (hole,) = [each for each in holes if isinstance(each, Apart) and each.holding == coin]
        assert hole.number == stage.world.tip.number
        assert resync.passed.after.number - 7 < hole.known < resync.passed.after.number


@in_virtual_time
async def test_a_native_balance_that_was_read_at_the_last_block_before_a_resync_has_none() -> None:
    coin = Holding(NATIVE, BOB)
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        await be_away(stage)
        stage.node.pruned_below = stage.world.tip.number
        stage.start()
        await stage.settle(3)
        (resync,) = resyncs(stage)
        assert coin in {row.holding for row in resync.confirmed}
