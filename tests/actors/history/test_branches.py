"""Nothing is told, or walked back from, that is of a branch which was left."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from indexer.domain.chain import BlockRef, Head, Holding, TokenInfo
from indexer.domain.history.backfill import Chunk, Native
from indexer.domain.history.crossings import Crossed
from indexer.domain.history.jobs import Anchor, Job, Stage
from indexer.domain.history.stories import Depths
from indexer.domain.history.walks import Walk
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import HistoryFilled, HistoryRow
from indexer.errors import BadAnswer
from tests.actors.fakes import TIME
from tests.actors.history.scene import HOLDING, Scene
from tests.sim.clock import play
from tests.sim.faults import NONE
from tests.sim.node import SimNode
from tests.sim.world import CHAIN_ID


def test_what_was_collected_of_two_branches_is_not_told() -> None:
    """One endpoint had the new highest block, another one answered for the blocks below as before."""

    async def story() -> tuple[str, list[Any], int]:
        scene = Scene()
        orphaned = scene.block(18)
        scene.world.reorg(14)
        await scene.store.backfills.put("job", Chunk(2, 20, natives=(Native(orphaned, HOLDING, 7),)))
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="collecting")
        collected = replace(job, cursor=1, top=20, highest=scene.block(20), settled=15)
        narrator: Any = SimpleNamespace(walk=_walked)
        filler = scene.filler()
        filler._narrator = narrator
        filled = await filler.fill(collected, scene.keep)
        told = list(scene.committed)
        _, again = await scene.settle(filled)
        assert again is not None
        return filled.state, told, again.first

    assert play(story()) == ("settling", [], 2)


async def _walked(_job: Job, _crossed: Crossed) -> dict[Holding, Walk]:
    return {}


def test_what_was_collected_of_a_branch_that_is_gone_is_not_told() -> None:
    async def story() -> None:
        scene = Scene()
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="collecting")
        collected = replace(job, cursor=1, highest=scene.block(20), settled=15)
        scene.world.reorg(18)
        filled = await scene.filler().fill(collected, scene.keep)
        assert (filled.state, filled.settled) == ("settling", 1)
        _, again = await scene.settle(filled)
        assert again is not None
        assert (again.first, again.anchors) == (2, {})
        assert scene.committed == []  # nor taken back: what is there by now was filled by another order

    play(story())


@pytest.mark.parametrize("has_told", [True, False])
def test_what_was_told_in_part_when_its_branch_was_left_is_taken_back_and_no_more_is_told(*, has_told: bool) -> None:
    """Its own records would be in its way for ever: history is not walked through what is orphaned."""

    async def story() -> None:
        scene = Scene()
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="telling")
        if has_told:
            row = HistoryRow(scene.block(14), 7, None, (), "latest", derived=False)
            fact = HistoryFilled(CHAIN_ID, HOLDING, 2, 14, (row,), TokenInfo(), "job")
            await scene.store.commits.append(Commit("part", f"history:{CHAIN_ID}", 1, TIME, (fact,)))
        telling = replace(job, highest=scene.block(20), top=20, settled=12)
        scene.world.reorg(18)
        filler = scene.filler()
        filler._narrator = scene.narrator()
        left = await filler.fill(telling, scene.keep)
        assert await filler.left(telling) == left
        assert (left.state, left.is_told, scene.committed) == ("settling", False, [])
        scene.world.reorg(1)
        _, again = await scene.settle(left)
        assert again is not None
        assert (again.first, again.anchors) == (2, job.anchors if has_told else {})
        assert [(fact.first, fact.last, fact.void) for fact in scene.committed] == ([(2, 19, True)] if has_told else [])

    play(story())


def test_nothing_is_told_that_was_not_collected_because_two_nodes_disagree_about_the_branch() -> None:
    """The one says that the highest block is gone, so that nothing is collected; the next one still has it."""

    async def story() -> str:
        scene = Scene()
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="collecting")
        ordered = replace(job, cursor=20, highest=scene.block(20), settled=15)
        filler = scene.filler()
        answers = [True, False, False]

        async def is_gone(job: Job) -> bool:  # noqa: ARG001 - the script alone decides
            return answers.pop(0)

        filler._branches.is_gone = is_gone  # type: ignore[method-assign] # two nodes
        return (await filler.fill(ordered, scene.keep)).state

    assert play(story()) == "settling"


@pytest.mark.parametrize(("told_up_to", "first"), [(9, 15), (12, 2)])
def test_an_order_in_the_place_of_another_begins_where_that_did_if_a_cut_took_what_it_had_told(
    told_up_to: int, first: int
) -> None:
    async def story() -> tuple[int, int | None]:
        scene = Scene()
        await scene.fill(9)
        await scene.record(29, 30)
        job = Job("job", CHAIN_ID, 15, None, (HOLDING,), filled_from=2)
        job = replace(job, grounds=(Stage(scene.block(14), {HOLDING: told_up_to}),))
        grounded = await scene.branches.grounded(job)
        return grounded.first, grounded.filled_from

    assert play(story()) == (first, 2 if first == 15 else None)


@pytest.mark.parametrize(("depth", "first"), [(16, 16), (17, 2)])
def test_an_order_in_the_place_of_another_begins_where_that_did_if_a_deeper_reorg_reached_below_it_since(
    depth: int, first: int
) -> None:
    """Though no record was taken back there: the new branch may have some where the old one had none."""

    async def story() -> tuple[int, bool]:
        scene = Scene()
        await scene.fill(9)
        below = scene.block(15)
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="settling")
        settling = replace(job, told=20, settled=15, base=below, highest=scene.block(20), rests={HOLDING: 9})
        scene.world.reorg(12)
        _, again = await scene.settle(settling)
        assert again is not None
        assert again.first == 16
        scene.world.reorg(depth)
        grounded = await scene.branches.grounded(replace(again, state="queued"))
        return grounded.first, [ground.block for ground in grounded.grounds] == [below]

    assert play(story()) == (first, first == 16)


def _beside_one_that_stands_still(scene: Scene, depth: int) -> None:
    """After a reorg of which one node does not hear: it answers whatever it is asked for, if it has what is beside."""
    left = list(scene.world.canonical)
    scene.world.reorg(depth)
    follows = scene.node

    class Nodes(SimNode):
        async def headers(self, first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]:
            if beside is None or left[min(beside.number, len(left) - 1)].head.ref == beside:
                return tuple(block.head for block in left[first : last + 1])
            return await follows.headers(first, last, beside)

    scene.node = Nodes(scene.world, Random(5), lambda: NONE)  # noqa: S311 - as above


def test_history_is_not_walked_back_from_a_record_of_a_branch_on_which_one_node_stands_still() -> None:
    """It lies so deep by now that nothing would be compared any more."""

    async def story() -> None:
        scene = Scene()
        await scene.record(15, 30)
        _beside_one_that_stands_still(scene, 20)
        with pytest.raises(BadAnswer, match="block 15 is being replaced"):
            await scene.preparer().prepare(Job("job", CHAIN_ID, 2, None, (HOLDING,)))

    play(story())


def test_history_is_compared_with_what_a_node_says_that_does_not_stand_still() -> None:
    async def story() -> tuple[str, int | None]:
        scene = Scene()
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="settling")
        settling = replace(job, told=20, settled=15, base=scene.block(15), highest=scene.block(20))
        _beside_one_that_stands_still(scene, 20)
        over = await scene.filler()._over(replace(settling, settled=20))
        _, again = await scene.settle(settling)
        return over.state, None if again is None else again.first

    assert play(story()) == ("settling", 2)


def test_an_order_in_the_place_of_another_waits_where_what_it_goes_on_from_is_replaced_while_it_begins() -> None:
    async def story() -> None:
        scene = Scene()
        preparer, depths = scene.preparer(), scene.branches.depths

        async def reorganised() -> Depths:
            """Before the record is found that is walked back from, and after what is below was compared."""
            scene.world.reorg(20)
            await scene.record(25, 30)
            return await depths()

        preparer._branches.depths = reorganised  # type: ignore[method-assign] # between two questions
        job = Job("job", CHAIN_ID, 16, None, (HOLDING,), filled_from=2, grounds=(Stage(scene.block(15)),))
        with pytest.raises(BadAnswer, match="block 15 is being replaced"):
            await preparer.prepare(job)

    play(story())
