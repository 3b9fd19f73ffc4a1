"""Where history goes on from, and where it opens anew: what is there already counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from actors.history.older import older_than
from indexer.domain.chain import BlockRef, Head, Holding
from indexer.domain.history.backfill import Change
from indexer.domain.history.crossings import Crossed
from indexer.domain.history.jobs import Anchor, Job
from indexer.domain.history.stories import Depths
from indexer.domain.history.walks import Walk
from indexer.domain.resuming.checkpoints import Mark
from indexer.errors import BadAnswer
from tests.actors.history.scene import HOLDING, Scene
from tests.sim.clock import play
from tests.sim.world import CHAIN_ID


def test_where_state_begins_history_goes_on_from_the_record_that_is_there() -> None:
    """Not from the one before its first block: what changed in between is recorded already."""

    async def story() -> int | None:
        scene = Scene()
        await scene.record(9, 12)
        await scene.record(29, 30)
        job = Job("job", CHAIN_ID, 8, 28, (HOLDING,), anchors={HOLDING: Anchor(29, 30, False)}, unread=13)
        walks = {HOLDING: Walk(29, 30, is_native=True, opening=5)}
        stories = await scene.narrator()._stories(job, walks, Depths(0, 0, 0), {})
        return stories.each[HOLDING].teller.held

    assert play(story()) == 12


def _begun_after_a_gap(opening: int | None = 0, **more: Any) -> tuple[int | None, list[tuple[int, int, int | None]]]:
    """An earlier order filled up to block 12, this one fills from 15 on, where there was nothing any more."""

    async def story() -> tuple[int | None, list[tuple[int, int, int | None]]]:
        scene = Scene()
        await scene.fill(9)
        await scene.record(29, 30, "first")
        job = Job("job", CHAIN_ID, 15, 28, (HOLDING,), anchors={HOLDING: Anchor(29, 30, True)}, **more)
        walks = {HOLDING: Walk(29, 30, is_native=True, opening=opening)}
        stories = await scene.narrator()._stories(job, walks, Depths(0, 0, 0), {})
        held = stories.each[HOLDING].teller.held
        stories.open(HOLDING, scene.block(15), 0)
        stories.take(Change(HOLDING, scene.block(20), 0, 0))
        stories.take(Change(HOLDING, scene.block(25), 0, 4))
        return held, [(row.block.number, row.balance, row.change) for fact in stories.due(28) for row in fact.rows]

    return play(story())


def test_after_a_gap_that_nobody_filled_history_opens_anew() -> None:
    """An older record of 7 must not seem to have held until block 24: nothing is news then."""
    assert _begun_after_a_gap() == (0, [(15, 0, None), (25, 4, 4)])


def test_a_gap_up_to_where_state_begins_is_not_bridged_by_an_older_record() -> None:
    assert _begun_after_a_gap(None, unread=17) == (None, [(20, 0, None), (25, 4, 4)])


def test_what_a_reorg_took_back_goes_on_from_what_it_left() -> None:
    assert _begun_after_a_gap(7, filled_from=3) == (7, [(20, 0, -7), (25, 4, 4)])
    assert Job("job", CHAIN_ID, 3, None, (HOLDING,)).again_from(15).filled_from == 3
    assert Job("job", CHAIN_ID, 3, None, (HOLDING,), unread=9).again_from(15).filled_from == 10


def test_what_a_reorg_took_back_and_cannot_be_read_any_more_is_not_bridged_by_what_it_left() -> None:
    """The job before filled up to block 14; up to block 17 nobody can say what the new branch did."""
    assert _begun_after_a_gap(7, filled_from=3, unread=17) == (None, [(20, 0, None), (25, 4, 4)])


def test_history_goes_on_from_the_record_below_it_whatever_moved_without_a_log_since() -> None:
    """It must follow on that record, and tell what an order from further below has told of the same blocks."""

    async def known_before(
        _job: Job, holdings: Collection[Holding], _number: int, _beside: object
    ) -> dict[Holding, int]:
        return dict.fromkeys(holdings, 5)

    async def story() -> dict[Holding, int]:
        scene = Scene()
        await scene.fill(9)
        await scene.record(29, 30)
        filler = scene.filler()
        collector: Any = SimpleNamespace(known_before=known_before)
        filler._collector = collector
        job = Job("job", CHAIN_ID, 15, 28, (HOLDING,), anchors={HOLDING: Anchor(29, 30, False)})
        older = await older_than(scene.store.balances, job, HOLDING, job.first)
        return await filler._known(job, {HOLDING: Walk(29, 30, is_native=True)}, {HOLDING: older}, None)

    assert play(story()) == {HOLDING: 7}


def test_history_is_not_walked_back_from_a_record_whose_block_was_just_replaced() -> None:
    """Else what it says would be taken for what holds at the block in its place."""

    async def story() -> None:
        scene = Scene()
        await scene.record(29, 30)
        filler = scene.filler()
        scene.node.tag_lags = (2, 6)  # a final block, that both branches have
        headers = scene.node.headers

        async def reorganised(first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]:
            found = await headers(first, last, beside)
            scene.world.reorg(4)
            return found

        scene.node.headers = reorganised  # type: ignore[method-assign] # right after the record was compared
        with pytest.raises(BadAnswer, match="block 29 is being replaced"):
            await filler.fill(Job("job", CHAIN_ID, 2, None, (HOLDING,)), scene.keep)

    play(story())


def test_history_does_not_go_on_from_a_record_of_an_orphaned_block() -> None:
    """Another job has filled it in and will take it back: it has to do that first."""

    async def walked_down(_job: Job, _crossed: Crossed) -> dict[Holding, Walk]:
        return {HOLDING: Walk(29, 30, is_native=True)}

    async def story() -> None:
        scene = Scene()
        await scene.fill(24)
        scene.world.reorg(7)
        await scene.record(29, 30)
        job = Job("job", CHAIN_ID, 26, 28, (HOLDING,), anchors={HOLDING: Anchor(29, 30, False)}, state="telling")
        narrator: Any = SimpleNamespace(walk=walked_down)
        filler = scene.filler()
        filler._narrator = narrator
        with pytest.raises(BadAnswer, match="block 24 is being replaced"):
            await filler.fill(job, scene.keep)

    play(story())


def test_a_gap_of_which_the_block_before_is_orphaned_is_not_gone_on_from() -> None:
    """What was recorded up to there may be gone with it."""

    async def story() -> tuple[BlockRef | None, BlockRef | None]:
        scene = Scene()
        await scene.record(20, 7, "resync")
        job = Job("job", CHAIN_ID, 11, 19, (HOLDING,), after=scene.block(10), trailing=frozenset({HOLDING}))
        kept = (await scene.branches.grounded(job)).after
        scene.world.reorg(25)
        return kept, (await scene.branches.grounded(job)).after

    kept, orphaned = play(story())
    assert kept is not None
    assert orphaned is None


def test_history_is_looked_at_until_whoever_follows_the_chain_is_beyond_the_reach_of_a_reorg() -> None:
    """While that one is behind, a reorg that it takes back block by block reaches blocks that are final to the node."""

    async def story() -> list[str]:
        scene = Scene()
        await scene.record(20, 7, "first")
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="settling")
        job = replace(job, told=19, settled=22, base=scene.block(19), highest=scene.block(19))
        states: list[str] = []
        for followed in (None, 20, 26, 27):
            if followed is not None:
                heads = [block.head for block in scene.world.canonical[: followed + 1]]
                await scene.store.checkpoints.follow(f"chain:{CHAIN_ID}", heads, Mark())
            settled, again = await scene.settle(job)
            over = await scene.filler()._over(job)
            assert again is None
            assert over.state == settled.state
            states.append(settled.state)
        return states

    assert play(story()) == ["settling", "settling", "settling", "done"]
