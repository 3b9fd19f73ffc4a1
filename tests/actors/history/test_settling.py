"""What it costs to look at jobs again and again that a reorg may still reach."""

from __future__ import annotations

from dataclasses import replace

from tests.actors.history.scene import HOLDING, Scene, staged
from tests.sim.clock import play


def test_jobs_of_one_block_share_a_question_and_none_is_asked_while_the_chain_stands() -> None:
    async def story() -> None:
        scene = Scene()
        settler, job = scene.settler(), staged(scene)
        jobs = [replace(job, id=f"job{number}") for number in range(20)]
        costs = []
        for _ in range(3):
            before = scene.node.questions
            depths = await settler.depths()
            assert [await settler.settle(each, depths) for each in jobs] == [(each, None) for each in jobs]
            costs.append(scene.node.questions - before)
        assert costs == [2, 1, 1]
        scene.world.mine()
        before = scene.node.questions
        depths = await settler.depths()
        await settler.settle(job, depths)
        assert scene.node.questions - before == 2

    play(story())


def test_a_reorg_is_found_though_its_block_was_looked_at_before() -> None:
    async def story() -> None:
        scene = Scene()
        await scene.fill(14)
        settler, job = scene.settler(), staged(scene)
        assert await settler.settle(job, await settler.depths()) == (job, None)
        scene.replace_from(24)
        settled, again = await settler.settle(job, await settler.depths())
        assert settled.state == "done"
        assert again is not None
        assert again.first <= 24
        assert {fact.holding for fact in scene.committed if fact.void} == {HOLDING}

    play(story())
