"""Everything is read again beside the heads, a little behind them; what differs is recorded at the newest block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

import pytest
import structlog.testing

from actors.chains.beside import syncing as module
from actors.chains.beside.syncing import DISTANCE_BLOCKS
from indexer.domain.chain import NATIVE, BlockHash, Holding, KnownBlock
from indexer.domain.following.views import Readings
from indexer.errors import NodeUnreachable
from tests.actors.chains.stage import ALICE, BOB, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE, WATCH

MINT = Holding(USD, ALICE)
ROUND_SECONDS = 301.0
UNTIL_DUE_SECONDS = 222.0
"""Of a stage that heard one head: the first round begins after three quarters of the interval."""


class Reads:
    """What the node was asked to read, and by which block."""

    def __init__(self, stage: Stage) -> None:
        self._read = stage.node.read
        self.asked: list[tuple[int, int]] = []
        self.stage = stage
        stage.node.read = self.read  # type: ignore[method-assign] # listens in

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
        for block, holdings in wanted.items():
            self.asked.append((block.number, len(holdings)))
        return await self._read(wanted)


@asynccontextmanager
async def in_parts_of(holdings: int) -> AsyncIterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART", holdings)
        yield


def drift(stage: Stage) -> int:
    for line in stage.metrics.render()[0].decode().splitlines():
        if line.startswith('indexer_drift_balances_total{chain="sim"}'):
            return int(float(line.rsplit(" ", 1)[1]))
    return 0


@in_virtual_time
async def test_it_reads_a_block_behind_the_head_and_records_at_the_newest() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(MINT, 1_000))
        reads, minted = Reads(stage), stage.world.tip.number
        await stage.settle(UNTIL_DUE_SECONDS)
        for _ in range(8):
            await stage.hear(stage.world.mine(busy=0))
        await stage.settle(20)
        (fact,) = stage.updates("sync")
        assert (fact.holding, fact.balance) == (MINT, 1_000)
        (behind, everything), newest = reads.asked
        assert minted <= behind == fact.block.number - DISTANCE_BLOCKS
        assert (everything, newest) == (len(WATCH.holdings()), (fact.block.number, 1))
        assert drift(stage) == 1


@in_virtual_time
async def test_what_changed_after_the_block_that_is_read_is_no_drift() -> None:
    async with staged() as stage:
        reads = Reads(stage)
        await stage.settle(UNTIL_DUE_SECONDS)
        for _ in range(8):
            await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        await stage.settle(20)
        (behind,) = [number for number, holdings in reads.asked if holdings == len(WATCH.holdings())]
        assert behind <= stage.world.tip.number - DISTANCE_BLOCKS
        assert not stage.updates("sync")
        assert drift(stage) == 0


@in_virtual_time
async def test_a_mint_that_was_recorded_by_a_later_log_is_read_again_and_no_drift() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(MINT, 1_000))
        await stage.settle(UNTIL_DUE_SECONDS)
        for _ in range(8):
            await stage.hear(stage.world.pay(USD, OUTSIDE, ALICE, 1))
        await stage.settle(20)
        assert [fact.cause for fact in stage.updates()] == ["transfer"] * 8
        assert drift(stage) == 0


@in_virtual_time
async def test_a_chain_of_one_block_that_mines_nothing_is_read_too() -> None:
    stage = Stage()
    stage.world.mine()
    stage.start()
    await stage.settle()
    reads = Reads(stage)
    await stage.settle(ROUND_SECONDS + 20)
    assert reads.asked == [(1, len(WATCH.holdings()))]
    await stage.stop()


@in_virtual_time
async def test_a_node_that_keeps_only_the_newest_state_is_read_there() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(MINT, 1_000))
        reads = Reads(stage)
        await stage.settle(UNTIL_DUE_SECONDS)
        for _ in range(8):
            stage.node.pruned_below = stage.world.tip.number + 1
            await stage.hear(stage.world.mine(busy=0))
        await stage.settle(20)
        assert [fact.holding for fact in stage.updates("sync")] == [MINT]
        refused, *rest = [number for number, _ in reads.asked]
        assert rest == [refused + DISTANCE_BLOCKS] * 2


@in_virtual_time
async def test_a_reorg_of_the_block_that_is_read_starts_the_round_anew() -> None:
    async with staged() as stage, in_parts_of(1):
        await stage.hear(stage.world.mine(busy=0), stage.world.put(MINT, 1_000))
        read, orphaned = stage.node.read, stage.world.tip

        async def reorganised(wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
            answer = await read(wanted)
            if orphaned in wanted and stage.world.is_canonical(orphaned.hash):
                stage.world.reorg(1, longer=2)
                stage.say_tip()
                await asyncio.sleep(1)
            return answer

        stage.node.read = reorganised  # type: ignore[method-assign] # a reorg while it reads
        await stage.settle(ROUND_SECONDS + 60)
        assert stage.follower.known.find(orphaned.hash) is None
        assert not stage.updates("sync")
        assert drift(stage) == 0


@in_virtual_time
async def test_a_round_that_was_answered_of_a_block_that_is_gone_begins_anew() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0), stage.world.put(MINT, 1_000))
        orphaned, reads = stage.world.tip, Reads(stage)
        read = stage.node.read

        async def reorganised(wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
            answer = await read(wanted)
            if orphaned in wanted and stage.world.is_canonical(orphaned.hash):
                stage.world.reorg(1, longer=2)
                await stage.hear(stage.world.tip)
            return answer

        stage.node.read = reorganised  # type: ignore[method-assign] # a reorg before its answer is looked at
        await stage.settle(ROUND_SECONDS + 60)
        rounds = [number for number, holdings in reads.asked if holdings == len(WATCH.holdings())]
        assert rounds == [orphaned.number, stage.world.tip.number]
        assert drift(stage) == 0


@in_virtual_time
async def test_heads_never_wait_for_it() -> None:
    async with staged() as stage, in_parts_of(2):
        read = stage.node.read

        async def slow(wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
            await asyncio.sleep(30)
            return await read(wanted)

        stage.node.read = slow  # type: ignore[method-assign] # half a minute for two balances
        await stage.settle(ROUND_SECONDS + 10)
        head = stage.world.put(Holding(NATIVE, BOB), 10_000)
        await stage.hear(head)
        assert [fact.block for fact in stage.updates()] == [head.ref]
        assert stage.state() == "live"


@in_virtual_time
async def test_a_round_that_fails_is_said_once_and_so_is_the_next_that_works() -> None:
    async with staged() as stage:
        read = stage.node.read

        async def down(wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
            raise NodeUnreachable(f"gone, with {len(wanted)} questions")

        stage.node.read = down  # type: ignore[method-assign] # no balances, though heads come
        with structlog.testing.capture_logs() as logs:
            await stage.settle(4 * ROUND_SECONDS)
            stage.node.read = read  # type: ignore[method-assign] # back
            await stage.settle(2 * ROUND_SECONDS)
        said = [entry["event"] for entry in logs if entry["event"].startswith("sync_")]
        assert said == ["sync_failed", "sync_works"]
        assert stage.state() == "live"
