"""Blocks that are announced before their logs are indexed, as the node client shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from actors.chains.blocks.lateness import ASKED_AFTER, LONGEST_SECONDS
from indexer.domain.balances import BalanceUpdated, Watch
from indexer.domain.chain import Head, Holding
from indexer.domain.following.feed import HeadHeard
from indexer.domain.following.views import BlockView, Replacement
from indexer.domain.recording.holes import Apart
from indexer.domain.recording.records import fold
from indexer.domain.telling.facts import BalanceReverted
from indexer.errors import BlockUnknown
from tests.actors.chains.stage import ALICE, BOB, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.node import SimNode
from tests.sim.world import OUTSIDE

HERS = Holding(USD, ALICE)


class Indexing:
    """The node of a stage, which has the logs of each block some seconds after that was asked for first."""

    def __init__(self, stage: Stage, patch: pytest.MonkeyPatch, seconds: float) -> None:
        self.seconds = seconds
        self.fails = self.hangs = False
        self.looks = 0
        self._stage = stage
        self._first: dict[str, float] = {}
        self._whole = SimNode.look
        self._replacement = SimNode.replacement
        patch.setattr(SimNode, "look", lambda _, heads, watch, **how: self._look(heads, watch, **how))
        patch.setattr(SimNode, "replacement", lambda _, *places, **how: self._late_replacement(*places, **how))

    async def _look(self, heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]:
        self.looks += 1
        now = asyncio.get_running_loop().time()
        if self.fails and self.looks > 1:
            raise BlockUnknown("the node does not have this block")
        if self.hangs and self.looks > 1:
            await asyncio.sleep(15)
        views = await self._whole(self._stage.node, heads, watch, natives=natives)
        read = await self._stage.node.read(dict.fromkeys(heads, (HERS,)))
        return tuple(
            view
            if now - self._first.setdefault(view.head.hash, now) >= self.seconds
            else BlockView(view.head, (), view.readings.and_more(read[view.head.hash]), frozenset([HERS]))
            for view in views
        )

    async def _late_replacement(
        self, ancestor: Head, head: Head, watch: Watch, moved: Collection[Holding], *, natives: bool = True
    ) -> Replacement:
        found = await self._replacement(self._stage.node, ancestor, head, watch, moved, natives=natives)
        (late,) = await self._look((head,), watch, natives=natives)
        return replace(found, view=replace(late, readings=late.readings.and_more(found.view.readings)))


async def told_after(stage: Stage, head: Head) -> float:
    """How long after that block was heard of it was told."""
    begun, before = asyncio.get_running_loop().time(), len(stage.commits)
    stage.say(HeadHeard(head, "ws"))
    while len(stage.commits) == before:  # noqa: ASYNC110 - a test looks from outside
        await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time() - begun


@in_virtual_time
async def test_logs_that_come_a_moment_after_their_block_explain_what_moved() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            Indexing(stage, patch, 0.25)
            assert await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 5)) < 0.5
            assert await told_after(stage, stage.world.pay(USD, ALICE, BOB, 2)) < 0.5
        told = [(each.holding.solver, each.change, each.cause, each.unexplained) for each in stage.updates()]
        assert told == [(ALICE, 5, "transfer", 0), (ALICE, -2, "transfer", 0), (BOB, 2, "transfer", 0)]
        assert all(each.transactions for each in stage.updates())


@in_virtual_time
async def test_a_block_in_the_place_of_another_is_explained_by_logs_that_come_a_moment_after_it() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            Indexing(stage, patch, 0.25)
            await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 5))
            stage.world.canonical.pop()
            assert await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 7)) < 0.5
            assert [type(fact) for fact in stage.commits[-1].facts] == [BalanceReverted, BalanceUpdated]
        told = [(each.change, each.cause, each.unexplained, len(each.transactions)) for each in stage.updates()]
        assert told == [(5, "transfer", 0, 1), (7, "transfer", 0, 1)]


@in_virtual_time
async def test_nobody_waits_for_logs_of_a_block_in_the_place_of_another_where_nothing_moved() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            Indexing(stage, patch, 1_000)
            await stage.hear(stage.world.mine(busy=0))
            stage.world.canonical.pop()
            head = stage.world.mine(busy=0)
            stage.say(HeadHeard(head, "ws"))
            await stage.settle(0.05)
            assert stage.follower.tip == head


@in_virtual_time
async def test_nobody_waits_for_logs_where_nothing_moved() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            node = Indexing(stage, patch, 10)
            await stage.hear(stage.world.mine(busy=0))
            assert node.looks == 1


@in_virtual_time
async def test_a_token_that_moves_without_logs_holds_its_chain_up_once_and_not_for_long() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            node = Indexing(stage, patch, 1_000)
            assert await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 5)) < LONGEST_SECONDS + 0.1
            assert node.looks == 1 + len(ASKED_AFTER)
            assert await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 7)) < 0.05
        assert [(each.change, each.cause) for each in stage.updates()] == [(5, "sync"), (7, "sync")]


@in_virtual_time
async def test_a_token_rests_for_longer_each_time_until_a_log_of_it_is_late_again() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            node = Indexing(stage, patch, 1_000)
            waited = list[bool]()
            for pause in (0.0, 11.0, 11.0, 21.0):
                await stage.settle(pause)
                waited.append(await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 1)) > ASKED_AFTER[0])
            assert waited == [True, True, False, True]
            node.seconds = 0.25
            await stage.settle(60)
            for _ in range(2):
                assert ASKED_AFTER[0] < await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 1)) < 0.5


@in_virtual_time
async def test_a_node_that_fails_meanwhile_holds_up_nothing() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            Indexing(stage, patch, 1_000).fails = True
            assert await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 5)) < ASKED_AFTER[0] + 0.1
        assert [(each.change, each.cause) for each in stage.updates()] == [(5, "sync")]


@in_virtual_time
async def test_a_node_that_hangs_when_it_is_asked_again_holds_up_no_block_for_longer() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            Indexing(stage, patch, 1_000).hangs = True
            assert await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 5)) < LONGEST_SECONDS + 0.1
        assert [(each.change, each.cause) for each in stage.updates()] == [(5, "sync")]


@pytest.mark.parametrize("depth", [1, 2])
@in_virtual_time
async def test_a_log_that_came_too_late_for_an_orphaned_block_explains_the_one_in_its_place(depth: int) -> None:
    """Nobody had stopped watching: there is no hole below it."""
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            Indexing(stage, patch, 1_000)
            await told_after(stage, stage.world.pay(USD, OUTSIDE, ALICE, 5))
        for _ in range(depth - 1):
            await stage.hear(stage.world.mine(busy=0))
        before = len(stage.commits)
        del stage.world.canonical[-depth:]
        stage.world.pay(USD, OUTSIDE, ALICE, 5)
        for _ in range(depth - 1):
            stage.world.mine(busy=0)
        await stage.hear(stage.world.tip)
        told = [(each.change, each.cause, each.unexplained, each.apart) for each in stage.updates()]
        assert told == [(5, "sync", 5, False), (5, "transfer", 0, False)]
        assert not [each for each in fold(stage.commits[before:]).holes if isinstance(each, Apart)]
