"""A chain whose stored blocks are of a year that no date can express, as earlier releases took them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tests.actors.chains.stage import BOB, USD, Stage
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE

END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@in_virtual_time
async def test_it_is_resumed_and_followed_like_any_other() -> None:
    stage = Stage()
    genesis = stage.world.canonical[0]
    late = replace(genesis, head=replace(genesis.head, timestamp=1_790_000_000_000))
    stage.world.canonical[0] = stage.world.blocks[late.head.hash] = late
    for _ in range(2):
        stage.start()
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert (stage.state(), stage.status.block_time) == ("live", END)
        assert stage.status.block == stage.world.tip.number
        await stage.stop()
