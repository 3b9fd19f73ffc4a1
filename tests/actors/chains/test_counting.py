"""What is counted of gaps and reorgs: each once, however it is worked off."""

from __future__ import annotations

import pytest

from actors.chains.blocks import ahead
from tests.actors.chains.stage import BOB, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE


def counted(stage: Stage, metric: str) -> float:
    (line,) = [
        one
        for one in stage.metrics.render()[0].decode().splitlines()
        if one.startswith(f'indexer_{metric}{{chain="sim"}}')
    ]
    return float(line.split()[-1])


def counts(stage: Stage) -> tuple[float, float, float, float]:
    return (
        counted(stage, "gaps_total"),
        counted(stage, "gap_blocks_total"),
        counted(stage, "reorgs_total"),
        counted(stage, "reorg_depth_blocks_sum"),
    )


def test_an_outage_is_one_gap_however_many_parts_it_is_caught_up_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "CATCH_UP_BLOCKS", 2)

    @in_virtual_time
    async def story() -> None:
        async with staged() as stage:
            await stage.hear(stage.world.mine(busy=0))
            for _ in range(2):
                for _ in range(41):
                    stage.world.mine(busy=0)
                stage.say_tip()
                await stage.settle(30)
                assert stage.status.block == stage.world.tip.number
            assert counts(stage) == (2, 82, 0, 0)

    story()


@pytest.mark.parametrize("depth", [1, 3])
@in_virtual_time
async def test_the_branch_that_a_reorg_brings_was_not_missed(depth: int) -> None:
    async with staged() as stage:
        for _ in range(5):
            await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        stage.world.reorg(depth, longer=1)
        stage.say_tip()
        await stage.settle(30)
        assert counts(stage) == (0, 0, 1, depth)


@in_virtual_time
async def test_a_reorg_deeper_than_the_window_is_counted_as_well() -> None:
    async with staged(window=8) as stage:
        for _ in range(12):
            await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        stage.world.reorg(10, longer=2)
        stage.say_tip()
        await stage.settle(30)
        assert counts(stage) == (0, 0, 1, 8)


@in_virtual_time
async def test_so_is_one_to_a_block_that_cannot_be_read_any_more() -> None:
    async with staged() as stage:
        for _ in range(5):
            await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        stage.world.reorg(2, longer=3)
        stage.node.pruned_below = stage.world.tip.number
        stage.say_tip()
        await stage.settle(30)
        assert counts(stage) == (0, 0, 1, 2)
