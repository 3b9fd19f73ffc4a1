"""What is to be read any moment is waited for, as long as somebody watches it."""

from __future__ import annotations

import asyncio

from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from indexer.domain.history.jobs import Job
from tests.actors.history.scene import HOLDING, Scene
from tests.sim.clock import play
from tests.sim.world import CHAIN_ID


def _ordered_above_the_newest_record(due: frozenset[Holding]) -> tuple[Job, float, dict[Holding, int]]:
    """Filled from block 12 on, while the newest record is of block 9; the job, its seconds, what is covered."""

    async def story() -> tuple[Job, float, dict[Holding, int]]:
        scene, loop = Scene(), asyncio.get_running_loop()
        await scene.record(9, 12)
        scene.due, began = due, loop.time()
        done = await scene.filler().fill(Job("job", CHAIN_ID, 12, None, (HOLDING,)), scene.keep)
        return done, loop.time() - began, dict(await scene.store.coverage.covered(CHAIN_ID))

    return play(story())


def test_where_nothing_has_changed_since_the_first_block_there_is_nothing_to_fill() -> None:
    done, seconds, covered = _ordered_above_the_newest_record(frozenset())
    assert (done.state, done.reasons, covered) == ("done", {}, {HOLDING: 12})
    assert seconds < 1


def test_a_balance_that_is_to_be_read_any_moment_is_waited_for() -> None:
    done, seconds, covered = _ordered_above_the_newest_record(frozenset([HOLDING]))
    assert (list(done.reasons), covered) == ([HOLDING], {})
    assert seconds > 30


def test_a_balance_that_nobody_watches_any_more_is_not_waited_for() -> None:
    async def story() -> tuple[Job, float]:
        scene, loop = Scene(), asyncio.get_running_loop()
        scene.watch, began = Watch(), loop.time()
        done = await scene.filler().fill(Job("job", CHAIN_ID, 12, None, (HOLDING,)), scene.keep)
        return done, loop.time() - began

    done, seconds = play(story())
    assert list(done.reasons) == [HOLDING]
    assert seconds < 1


def test_what_nobody_watches_any_more_is_not_taken_to_have_stayed_as_it_was() -> None:
    """A reorg took back all that was heard of it, and left what it was at the common ancestor."""

    async def story() -> tuple[Job, dict[Holding, int]]:
        scene = Scene()
        await scene.record(0, 0, "resync")
        scene.watch = Watch()
        done = await scene.filler().fill(Job("job", CHAIN_ID, 0, None, (HOLDING,)), scene.keep)
        return done, dict(await scene.store.coverage.covered(CHAIN_ID))

    done, covered = play(story())
    assert (done.state, list(done.reasons), covered) == ("done", [HOLDING], {})
    assert "nobody watches it" in done.reasons[HOLDING]
