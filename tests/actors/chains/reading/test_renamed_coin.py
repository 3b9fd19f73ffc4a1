"""The file calls the native coin by another name: its balances are told again with it, also those that stand still."""

from __future__ import annotations

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, Holding, TokenInfo
from indexer.domain.telling.facts import BalanceReverted
from tests.actors.chains.stage import ALICE, BOB, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import WALLETS

NEW = TokenInfo(18, "XYZ", "XYZ")
COINS = {Holding(NATIVE, wallet) for wallet in WALLETS}


def renamed(stage: Stage) -> list[BalanceUpdated]:
    return [update for update in stage.updates() if update.info == NEW]


async def next_life(stage: Stage) -> None:
    await stage.stop()
    stage.start()
    await stage.settle(5)


@in_virtual_time
async def test_the_next_life_tells_all_of_its_balances_again_once() -> None:
    async with staged() as stage:
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(3)))
        stage.infos.coin = NEW
        await next_life(stage)
        assert {update.holding for update in renamed(stage)} == COINS
        for update in renamed(stage):
            assert (update.balance, update.change, update.cause, update.apart) == (update.previous, 0, "sync", False)
            assert update.block == stage.world.tip.ref
        await stage.hear(stage.world.mine(busy=0))
        await next_life(stage)
        await stage.hear(stage.world.mine(busy=0))
        assert len(renamed(stage)) == len(COINS)


@in_virtual_time
async def test_a_life_with_the_same_name_tells_nothing_again() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        before = len(stage.facts)
        await next_life(stage)
        await stage.hear(stage.world.mine(busy=0))
        assert len(stage.facts) == before


@in_virtual_time
async def test_one_that_moved_in_our_newest_block_is_told_again_with_the_next_one() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 77))
        stage.infos.coin = NEW
        await next_life(stage)
        assert {update.holding for update in renamed(stage)} == COINS - {Holding(NATIVE, BOB)}
        await stage.hear(stage.world.mine(busy=0))
        assert {update.holding for update in renamed(stage)} == COINS


@in_virtual_time
async def test_one_that_moved_while_nobody_looked_is_told_at_its_own_block() -> None:
    async with staged(native_interval=8) as stage:
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(8)))
        paid = stage.world.put(Holding(NATIVE, ALICE), 77)
        await stage.hear(paid, stage.world.mine(busy=0))
        stage.infos.coin = NEW
        await next_life(stage)
        (moved,) = [update for update in renamed(stage) if update.change]
        assert (moved.holding, moved.balance, moved.block) == (Holding(NATIVE, ALICE), 77, paid.ref)
        assert {update.holding for update in renamed(stage)} == COINS


@in_virtual_time
async def test_what_a_reorg_takes_back_of_it_is_told_again_on_the_new_branch() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0), stage.world.mine(busy=0))
        stage.infos.coin = NEW
        await next_life(stage)
        before = len(stage.facts)
        await stage.hear(stage.world.reorg(1))
        later = stage.facts[before:]
        assert {fact.holding for fact in later if isinstance(fact, BalanceReverted)} >= COINS
        assert {fact.holding for fact in later if isinstance(fact, BalanceUpdated) and fact.info == NEW} == COINS


@in_virtual_time
async def test_a_life_after_a_reorg_took_it_back_tells_it_again() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0), stage.world.mine(busy=0))
        stage.infos.coin = NEW
        await next_life(stage)
        await stage.stop()
        stage.world.reorg(1)
        before = len(stage.facts)
        stage.start()
        await stage.settle(5)
        await stage.hear(stage.world.mine(busy=0))
        later = stage.facts[before:]
        assert {fact.holding for fact in later if isinstance(fact, BalanceUpdated) and fact.info == NEW} >= COINS


@in_virtual_time
async def test_a_move_that_told_it_and_is_taken_back_is_told_again() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 77))
        stage.infos.coin = NEW
        await next_life(stage)
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 78))
        assert Holding(NATIVE, BOB) in {update.holding for update in renamed(stage)}
        before = len(stage.facts)
        await stage.hear(stage.world.reorg(1, busy=0))
        later = [fact for fact in stage.facts[before:] if isinstance(fact, BalanceUpdated)]
        assert [(fact.balance, fact.info) for fact in later if fact.holding == Holding(NATIVE, BOB)] == [(77, NEW)]


@in_virtual_time
async def test_a_move_that_told_it_in_an_earlier_life_and_is_taken_back_is_told_again() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 77))
        stage.infos.coin = NEW
        await next_life(stage)
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 78))
        await next_life(stage)
        before = len(stage.facts)
        await stage.hear(stage.world.reorg(1, busy=0))
        later = [fact for fact in stage.facts[before:] if isinstance(fact, BalanceUpdated)]
        assert [(fact.balance, fact.info) for fact in later if fact.holding == Holding(NATIVE, BOB)] == [(77, NEW)]


@in_virtual_time
async def test_the_same_where_what_was_told_before_it_is_older_than_the_window() -> None:
    async with staged(window=4) as stage:
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 77))
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(8)))
        stage.infos.coin = NEW
        await stage.stop()
        moved = stage.world.put(Holding(NATIVE, BOB), 78)
        stage.start()
        await stage.settle(5)
        await stage.hear(moved)
        assert Holding(NATIVE, BOB) in {update.holding for update in renamed(stage) if update.block == moved.ref}
        await next_life(stage)
        before = len(stage.facts)
        await stage.hear(stage.world.reorg(1, busy=0))
        later = [fact for fact in stage.facts[before:] if isinstance(fact, BalanceUpdated)]
        assert [(fact.balance, fact.info) for fact in later if fact.holding == Holding(NATIVE, BOB)] == [(77, NEW)]


@in_virtual_time
async def test_a_move_of_this_life_that_is_taken_back_is_not_told_again_where_the_name_was_told_before() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 77), stage.world.put(Holding(NATIVE, BOB), 78))
        await next_life(stage)
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 79))
        before = len(stage.facts)
        await stage.hear(stage.world.reorg(2, busy=0))
        later = stage.facts[before:]
        assert Holding(NATIVE, BOB) in {fact.holding for fact in later if isinstance(fact, BalanceReverted)}
        assert not [fact for fact in later if isinstance(fact, BalanceUpdated) and fact.holding == Holding(NATIVE, BOB)]


@in_virtual_time
async def test_one_that_moves_after_a_reorg_took_back_what_told_its_name_is_told_at_its_own_block() -> None:
    """That it was told again says nothing of blocks that nobody looked at."""
    async with staged(native_interval=8) as stage:
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(8)))
        stage.infos.coin = NEW
        await next_life(stage)
        await stage.hear(stage.world.mine(busy=0))
        stage.world.reorg(2, longer=-1, busy=0)
        paid = stage.world.put(Holding(NATIVE, ALICE), 77)
        await stage.hear(paid, *(stage.world.mine(busy=0) for _ in range(9)))
        moved = [update for update in stage.updates() if update.holding == Holding(NATIVE, ALICE) and update.change]
        assert [(update.block, update.cause) for update in moved] == [(paid.ref, "native")]
