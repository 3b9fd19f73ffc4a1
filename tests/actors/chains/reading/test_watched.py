"""What begins to be watched, or is watched again, while the chain goes on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from actors.messages import WatchChanged
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, Head, Holding
from indexer.domain.following.views import BlockView
from tests.actors.chains.stage import ALICE, BOB, USD, staged
from tests.sim.clock import in_virtual_time
from tests.sim.node import SimNode
from tests.sim.world import OUTSIDE, TOKENS, WATCH


@in_virtual_time
async def test_a_new_solver_is_read_at_once_on_a_chain_that_mines_nothing() -> None:
    dave = Address("0x" + "dd" * 20)
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers | {dave})))
        await stage.settle(0.1)
        assert {fact.holding for fact in stage.updates("first") if fact.holding.solver == dave} == {
            Holding(token, dave) for token in (NATIVE, *TOKENS)
        }
        assert {fact.block.hash for fact in stage.updates("first")} == {stage.world.tip.hash}


@in_virtual_time
async def test_what_changed_while_it_was_not_watched_is_found_when_it_is_watched_again() -> None:
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {BOB})))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 8))
        assert not stage.updates()
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        moved = [(fact.holding, fact.change) for fact in stage.updates("sync") if fact.change]
        assert moved == [(Holding(USD, BOB), 8)]
        assert all(fact.apart for fact in stage.updates("sync"))
        assert stage.read[-1] == {Holding(token, BOB) for token in (NATIVE, *TOKENS)}


@in_virtual_time
async def test_what_is_watched_again_is_told_though_it_holds_what_it_held() -> None:
    """It may have moved and come back: the record of before must not be taken to hold until now."""
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {BOB})))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 8))
        await stage.hear(stage.world.pay(USD, BOB, OUTSIDE, 8))
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        again = {fact.holding: fact for fact in stage.updates("sync")}
        assert again.keys() == {Holding(token, BOB) for token in (NATIVE, *TOKENS)}
        assert {fact.change for fact in again.values()} == {0}
        assert all(fact.apart for fact in again.values())
        assert {fact.block for fact in again.values()} == {stage.world.tip.ref}
        await stage.settle(301)
        assert len(stage.updates("sync")) == len(again)


@in_virtual_time
async def test_what_is_watched_again_is_told_anew_where_a_reorg_took_that_back() -> None:
    """Else the record of before would be taken to hold until now, as if it had been watched all the time."""
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {BOB})))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 8))
        await stage.hear(stage.world.pay(USD, BOB, OUTSIDE, 8))
        await stage.hear(stage.world.mine(busy=0))
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        orphaned = stage.world.tip
        await stage.hear(stage.world.reorg(1))
        await stage.settle()
        again = {fact.holding for fact in stage.updates("sync") if fact.block.hash != orphaned.hash}
        assert again == {Holding(token, BOB) for token in (NATIVE, *TOKENS)}


@in_virtual_time
async def test_a_change_in_the_block_since_which_it_is_watched_again_may_be_older_in_part() -> None:
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {BOB})))
        await stage.settle()
        stage.world.pay(USD, OUTSIDE, BOB, 8)  # announced to nobody
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        usd = [(fact.change, fact.cause) for fact in stage.updates() if fact.holding == Holding(USD, BOB)]
        assert usd == [(8, "sync"), (1, "transfer")]


@in_virtual_time
async def test_what_a_block_moved_without_telling_its_logs_is_recorded_there_and_said_once() -> None:
    alice = Holding(USD, ALICE)

    async def look(_: SimNode, heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]:
        """As the node client shows blocks whose logs are left out, and whose bloom names somebody."""
        views = await whole(stage.node, heads, watch, natives=natives)
        read = await stage.node.read(dict.fromkeys(heads, (alice,)))
        return tuple(
            BlockView(view.head, (), view.readings.and_more(read[view.head.hash]), frozenset([alice])) for view in views
        )

    whole = SimNode.look
    async with staged() as stage:
        with capture_logs() as lines, pytest.MonkeyPatch.context() as patch:
            patch.setattr(SimNode, "look", look)
            for amount in (5, 7):
                await stage.hear(stage.world.pay(USD, OUTSIDE, ALICE, amount))
        told = [(fact.change, fact.cause, fact.transactions, fact.unexplained) for fact in stage.updates()]
        assert told == [(5, "sync", (), 5), (7, "sync", (), 7)]
        assert [line["balances"] for line in lines if line["event"] == "logs_left_out"] == [1]
        assert 'indexer_logs_left_out_total{chain="sim",found="balance"} 2.0' in stage.metrics.render()[0].decode()
