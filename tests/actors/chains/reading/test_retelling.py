"""A token that says something else of itself: its balances are told again, since their amounts are others now."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from actors.messages import TokensChanged
from indexer.addresses import checksum
from indexer.domain.balances import BalanceUpdated, Watch
from indexer.domain.chain import Address, BlockHash, Holding, KnownBlock, TokenInfo
from indexer.domain.following.views import Readings
from indexer.domain.telling.facts import BalanceReverted, StreamResync
from tests.actors.chains.stage import ALICE, BOB, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE, WALLETS

NEW = TokenInfo(8, "NEW", "Renamed")
ROUND_SECONDS = 300.0
OURS = {Holding(USD, wallet) for wallet in WALLETS}


def renamed(stage: Stage) -> list[Holding]:
    return [update.holding for update in stage.updates() if update.info == NEW]


async def rename_in_part(stage: Stage) -> None:
    """All but BOB's are told with the new name: his moved in the newest block, and waits for the next one."""
    await stage.hear(stage.world.mine(busy=0))
    await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
    stage.infos.says[USD] = NEW
    await stage.settle(ROUND_SECONDS + 5)


async def begin_again(stage: Stage) -> None:
    """The next life, a block of it, and a round in which the tokens are asked."""
    stage.start()
    await stage.settle()
    await stage.hear(stage.world.mine(busy=0))
    await stage.settle(ROUND_SECONDS + 5)


@in_virtual_time
async def test_its_balances_are_told_again_at_our_newest_block_with_the_next_round() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        stage.infos.says[USD] = NEW
        await stage.settle(ROUND_SECONDS + 5)
        told = [update for update in stage.updates() if update.info == NEW]
        assert {update.holding for update in told} == OURS
        assert len(told) == len(OURS)
        for update in told:
            assert (update.balance, update.change, update.cause, update.apart) == (update.previous, 0, "sync", False)
            assert update.block == stage.world.tip.ref
        assert stage.infos.told == {USD: NEW}
        await stage.settle(2 * ROUND_SECONDS)
        assert len(renamed(stage)) == len(OURS)


@in_virtual_time
async def test_a_balance_that_moved_in_our_newest_block_is_told_again_with_the_next_one() -> None:
    async with staged() as stage:
        await rename_in_part(stage)
        assert set(renamed(stage)) == OURS - {Holding(USD, BOB)}
        assert stage.infos.told == {}
        await stage.hear(stage.world.mine(busy=0))
        assert set(renamed(stage)) == OURS
        assert stage.infos.told == {USD: NEW}


@in_virtual_time
async def test_what_moves_before_it_is_told_again_is_told_once() -> None:
    async with staged() as stage:
        await rename_in_part(stage)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 4))
        assert renamed(stage).count(Holding(USD, BOB)) == 1
        assert stage.infos.told == {USD: NEW}


@in_virtual_time
async def test_what_a_reorg_takes_back_of_it_is_told_again_on_the_new_branch() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0), stage.world.mine(busy=0))
        stage.infos.says[USD] = NEW
        await stage.settle(ROUND_SECONDS + 5)
        before = len(stage.facts)
        await stage.hear(stage.world.reorg(1))
        later = stage.facts[before:]
        assert {fact.holding for fact in later if isinstance(fact, BalanceReverted)} >= OURS
        assert {fact.holding for fact in later if isinstance(fact, BalanceUpdated) and fact.info == NEW} == OURS


@in_virtual_time
async def test_a_life_that_ends_before_it_is_told_finds_it_again() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.pay(USD, OUTSIDE, ALICE, 3))
        stage.infos.says[USD] = NEW
        await stage.settle(ROUND_SECONDS + 5)
        assert stage.infos.told == {}
        await stage.stop()
        await begin_again(stage)
        assert Holding(USD, ALICE) in renamed(stage)
        assert stage.infos.told == {USD: NEW}


@in_virtual_time
async def test_a_name_that_is_gone_before_it_was_kept_is_taken_back_by_the_next_life() -> None:
    """The token says what is kept of it, so that no round finds a difference."""
    async with staged() as stage:
        await rename_in_part(stage)
        misnamed = set(renamed(stage))
        assert (misnamed, stage.infos.told) == (OURS - {Holding(USD, BOB)}, {})
        await stage.stop()
        del stage.infos.says[USD]
        await begin_again(stage)
        last = {update.holding: update.info for update in stage.updates() if update.holding in OURS}
        assert last.keys() >= misnamed
        assert NEW not in last.values()


@in_virtual_time
async def test_a_name_that_is_still_true_is_not_taken_back_by_the_next_life() -> None:
    async with staged() as stage:
        await rename_in_part(stage)
        before = len(stage.updates())
        await stage.stop()
        await begin_again(stage)
        assert {update.info for update in stage.updates()[before:] if update.holding in OURS} == {NEW}
        assert stage.infos.told == {USD: NEW}


@in_virtual_time
async def test_what_the_next_life_took_back_it_does_not_take_back_again() -> None:
    async with staged() as stage:
        await rename_in_part(stage)
        del stage.infos.says[USD]
        counts = []
        for _ in range(2):
            await stage.stop()
            stage.start()
            await stage.settle()
            await stage.hear(stage.world.mine(busy=0))
            await stage.settle(2 * ROUND_SECONDS)
            counts.append(len(stage.updates()))
        assert counts[0] == counts[1]


@in_virtual_time
async def test_a_name_that_was_not_kept_is_taken_back_also_where_the_next_life_begins_with_a_resync() -> None:
    """What that confirms is not told to clients, each balance by itself."""
    async with staged() as stage:
        await rename_in_part(stage)
        misnamed = set(renamed(stage))
        assert (misnamed, stage.infos.told) == (OURS - {Holding(USD, BOB)}, {})
        await stage.stop()
        del stage.infos.says[USD]
        stage.world.pay(USD, OUTSIDE, BOB, 4)
        for _ in range(10):
            stage.world.mine(busy=0)
        stage.node.pruned_below = stage.world.tip.number
        stage.start()
        await stage.settle(ROUND_SECONDS + 5)
        await stage.hear(stage.world.mine(busy=0))
        assert any(isinstance(fact, StreamResync) for fact in stage.facts)
        last = {update.holding: update.info for update in stage.updates() if update.holding in OURS}
        assert last.keys() >= misnamed
        assert NEW not in last.values()


@in_virtual_time
async def test_what_moved_meanwhile_with_the_name_that_is_kept_is_not_taken_back_once_more() -> None:
    async with staged() as stage:
        await rename_in_part(stage)
        await stage.stop()
        del stage.infos.says[USD]
        before = len(stage.updates())
        stage.world.pay(USD, OUTSIDE, ALICE, 4)
        stage.world.mine(busy=0)
        stage.start()
        await stage.settle(ROUND_SECONDS + 5)
        await stage.hear(stage.world.mine(busy=0))
        later = [update.change for update in stage.updates()[before:] if update.holding == Holding(USD, ALICE)]
        assert later == [4]


@in_virtual_time
async def test_a_move_that_took_a_name_back_and_is_taken_back_itself_is_told_again() -> None:
    async with staged() as stage:
        await rename_in_part(stage)
        await stage.stop()
        del stage.infos.says[USD]
        stage.world.pay(USD, OUTSIDE, ALICE, 4)
        stage.start()
        await stage.settle(5)
        before = len(stage.updates())
        await stage.hear(stage.world.reorg(1, busy=0))
        later = [update for update in stage.updates()[before:] if update.holding == Holding(USD, ALICE)]
        assert [(update.change, update.info == NEW) for update in later] == [(0, False)]


@in_virtual_time
async def test_of_very_many_tokens_a_part_is_asked_in_each_round_and_none_is_left_out() -> None:
    many = frozenset(checksum(f"0x{number:040x}") for number in range(1, 61))
    async with staged(watch=Watch(many, frozenset(WALLETS))) as stage:
        asked: list[list[Address]] = []
        stage.infos.asked = lambda tokens: asked.append(list(tokens))
        await stage.settle(2 * ROUND_SECONDS + 5)
        assert [len(part) for part in asked] == [25, 25, 25]
        assert {token for part in asked for token in part} == many


@in_virtual_time
async def test_a_transfer_that_told_it_and_is_taken_back_is_told_again() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        stage.infos.says[USD] = NEW
        await stage.settle(ROUND_SECONDS + 5)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 4))
        before = len(stage.facts)
        await stage.hear(stage.world.reorg(1, busy=0))
        later = [fact for fact in stage.facts[before:] if isinstance(fact, BalanceUpdated)]
        assert [(fact.change, fact.info) for fact in later if fact.holding == Holding(USD, BOB)] == [(0, NEW)]


@in_virtual_time
async def test_a_balance_that_cannot_be_read_just_then_is_told_again_once_it_can() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        stage.infos.says[USD] = NEW
        stage.node.unreadable[USD] = "it is paused"
        await stage.settle(ROUND_SECONDS + 5)
        assert renamed(stage) == []
        assert stage.infos.told == {}
        del stage.node.unreadable[USD]
        await stage.settle(ROUND_SECONDS + 5)
        await stage.hear(stage.world.mine(busy=0))
        assert sorted(renamed(stage)) == sorted(OURS)
        assert stage.infos.told == {USD: NEW}


@in_virtual_time
async def test_while_one_cannot_be_read_the_others_are_told_again_once_and_not_with_every_round() -> None:
    bobs = Holding(USD, BOB)
    async with staged() as stage:
        read = stage.node.read

        async def but_one(wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
            answers = await read(wanted)
            return {
                block: Readings({key: n for key, n in found.values.items() if key != bobs}, {bobs: "it is frozen"})
                if bobs in found.values
                else found
                for block, found in answers.items()
            }

        await stage.hear(stage.world.mine(busy=0))
        stage.infos.says[USD] = NEW
        stage.node.read = but_one  # type: ignore[method-assign] # of this wallet the token says nothing
        for _ in range(3):
            await stage.settle(ROUND_SECONDS + 5)
            await stage.hear(stage.world.mine(busy=0))
        assert sorted(renamed(stage)) == sorted(OURS - {bobs})


@in_virtual_time
async def test_a_deep_reorg_that_changes_no_balance_tells_what_is_called_otherwise_since() -> None:
    """What it confirms is not told to clients, each balance by itself."""
    async with staged(window=8) as stage:
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(30)))
        stage.world.reorg(20, busy=0)
        stage.ref.tell(TokensChanged({USD: NEW}))
        await stage.hear(stage.world.tip)
        assert any(isinstance(fact, StreamResync) for fact in stage.facts)
        assert set(renamed(stage)) == OURS
