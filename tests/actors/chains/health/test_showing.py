"""What a chain shows of itself while a handler that has told something already is held up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from indexer.api.reach import Reach
from indexer.domain.chain import Head, Holding
from indexer.domain.health.status import StreamStatus
from indexer.domain.resuming.checkpoints import Mark
from indexer.domain.telling.facts import BalanceReverted
from tests.actors.chains.stage import BOB, CAROL, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.service import STREAM
from tests.sim.world import CHAIN_ID, OUTSIDE


def shown(stage: Stage) -> StreamStatus:
    status = stage.board.one(STREAM)
    assert status is not None
    return status


@contextmanager
def held_up(stage: Stage) -> Iterator[asyncio.Event]:
    """Checkpoints are not written before this is set."""
    go_on, follow = asyncio.Event(), stage.store.checkpoints.follow

    async def late(stream: str, heads: Sequence[Head], mark: Mark) -> None:
        await go_on.wait()
        await follow(stream, heads, mark)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.store.checkpoints, "follow", late)
        yield go_on
        go_on.set()


@in_virtual_time
async def test_a_block_that_was_told_is_shown_while_its_checkpoint_is_written() -> None:
    async with staged() as stage:
        await stage.settle(10)
        with held_up(stage) as go_on:
            head = stage.world.pay(USD, OUTSIDE, BOB, 5)
            await stage.hear(head)
            assert stage.commits[-1].checkpoint is not None
            assert stage.commits[-1].checkpoint.head == head
            assert stage.status.block == head.number - 1
            assert (shown(stage).block, shown(stage).lag_blocks, shown(stage).behind_since) == (head.number, 0, None)
            # Another head that is heard meanwhile shows that something waits, and takes nothing back.
            await stage.hear(stage.world.mine())
            assert (shown(stage).block, shown(stage).lag_blocks) == (head.number, 1)
            go_on.set()
            await stage.settle()
            assert (stage.status.block, shown(stage).lag_blocks) == (head.number + 1, 0)


@in_virtual_time
async def test_after_a_reorg_that_was_told_nothing_is_shown_to_hold_above_the_ancestor_until_the_chain_says_so() -> (
    None
):
    async with staged() as stage:
        ancestor = stage.world.tip
        await stage.hear(*[stage.world.pay(USD, OUTSIDE, BOB, 5) for _ in range(2)])
        await stage.settle(10)
        with held_up(stage) as go_on:
            del stage.world.canonical[-2:]
            heads = [stage.world.pay(USD, OUTSIDE, CAROL, 6) for _ in range(3)]
            await stage.hear(heads[-1])
            assert [fact.block for fact in stage.facts if isinstance(fact, BalanceReverted)] == [ancestor.ref]
            assert stage.status.block == ancestor.number + 2
            assert shown(stage).block == ancestor.number + 3
            assert Reach([shown(stage)]).held(CHAIN_ID, Holding(USD, BOB)) == ancestor.number
            go_on.set()
            await stage.settle()
            assert Reach([shown(stage)]).held(CHAIN_ID, Holding(USD, BOB)) == ancestor.number + 3
