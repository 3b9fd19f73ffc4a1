"""History that is walked back from above records that are there already: a resync told them, or an earlier order."""

from __future__ import annotations

from typing import Any

import pytest

from actors.history.crossing import crossed_by
from indexer.domain.chain import Holding
from indexer.domain.history.backfill import Chunk, Native
from indexer.domain.history.jobs import Anchor, Job
from indexer.domain.history.stories import Depths
from indexer.errors import BadAnswer
from tests.actors.history.scene import HOLDING, Scene
from tests.sim.clock import play
from tests.sim.world import CHAIN_ID


def _job(first: int, state: Any = "telling") -> Job:
    return Job("job", CHAIN_ID, first, None, (HOLDING,), anchors={HOLDING: Anchor(29, 30, True)}, state=state)


def test_an_opening_in_the_midst_is_joined_to_what_is_filled_in_below_it() -> None:
    """An earlier order began history anew at block 14; a resync at block 29 lets this one walk back past it."""

    async def story() -> list[tuple[int, int | None]]:
        scene, job = Scene(), _job(2)
        await scene.fill(14)
        await scene.record(29, 30, "resync")
        natives = tuple(Native(scene.block(number), HOLDING, held) for number, held in ((9, 4), (20, 9)))
        await scene.store.backfills.put("job", Chunk(2, 29, natives=natives))
        crossed = await crossed_by(scene.store.balances, job)
        walks = await scene.narrator().walk(job, crossed)
        walks[HOLDING].finish(2, 0)
        opening = scene.block(2)
        await scene.narrator().tell(job, walks, crossed, {}, opening, Depths(0, 0, 0), {})
        rows = [(row.block.number, row.change) for fact in scene.committed for row in fact.rows]
        return rows + [(fact.joint.number, fact.joint.change) for fact in scene.committed if fact.joint is not None]

    assert play(story()) == [(9, None), (20, 2), (14, 3), (29, 21)]


def test_history_is_not_walked_through_a_record_of_an_orphaned_block() -> None:
    """Another job has filled it in and will take it back: it has to do that first."""

    async def story() -> None:
        scene = Scene()
        await scene.fill(24)
        scene.world.reorg(7)
        await scene.record(29, 30, "resync")
        for state in ("collecting", "telling"):
            with pytest.raises(BadAnswer, match="block 24 is being replaced"):
                await scene.filler().fill(_job(2, state), scene.keep)

    play(story())


def test_records_that_a_log_led_to_are_not_asked_for() -> None:
    async def story() -> dict[Holding, list[int]]:
        scene = Scene()
        await scene.record(9, 12, "transfer")
        await scene.record(12, 13, "first")
        await scene.record(20, 14, "refresh")
        await scene.record(29, 30, "resync")
        crossed = await crossed_by(scene.store.balances, _job(2))
        return {holding: [row.block.number for row in rows] for holding, rows in crossed.items()}

    assert play(story()) == {HOLDING: [12, 20]}
