"""No reorg is too deep: so much of history is filled again as it may have replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.history.telling import NOBODY, _with
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, BlockRef, Holding, TokenInfo
from indexer.domain.history.jobs import MOST_RESTS, Anchor, Job, Stage
from indexer.domain.telling.facts import HistoryFilled, HistoryRow
from tests.actors.history.scene import HOLDING, Scene, staged
from tests.sim.clock import play
from tests.sim.world import CHAIN_ID, WALLETS


def _redone_from(depth: int, *, knows_base: bool = False, anchor: int = 20, rests: int = 14) -> int:
    """Filled from block 2 on up to 20, of which 15 was taken for settled; then a reorg."""

    async def story() -> int:
        scene = Scene()
        await scene.fill(14)
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(anchor, 7, True)}, state="settling")
        settling = Job(
            **{
                name: getattr(job, name)
                for name in Job.__slots__
                if name not in ("settled", "base", "highest", "told", "rests")
            },
            rests={HOLDING: rests},
            told=20,
            settled=15,
            base=scene.block(15) if knows_base else None,
            highest=scene.block(20),
        )
        scene.world.reorg(depth)
        done, again = await scene.settle(settling)
        assert done.state == "done"
        assert again is not None
        assert [fact.first for fact in scene.committed] == [again.first]
        return again.first

    return play(story())


@pytest.mark.parametrize(
    ("deepest", "first", "grounds"),
    [
        (26, 23, [15, 18, 22]),  # only the highest block is replaced
        (25, 23, [15, 18, 22]),
        (24, 19, [15, 18]),
        (23, 19, [15, 18]),
        (19, 16, [15]),
        (15, 2, []),
    ],
)
def test_a_reorg_takes_back_little_more_history_than_it_replaced(deepest: int, first: int, grounds: list[int]) -> None:
    async def story() -> tuple[int, list[int], int | None]:
        scene = Scene()
        for number in (14, 17, 22, 25):
            await scene.fill(number)
        job = staged(scene)
        scene.replace_from(deepest)
        _, again = await scene.settle(job)
        assert again is not None
        assert [fact.first for fact in scene.committed] == [again.first]
        return again.first, [ground.block.number for ground in again.grounds], again.filled_from

    assert play(story()) == (first, grounds, 2 if grounds else None)


def test_a_record_that_was_cut_below_the_fork_is_filled_again_with_what_is_above_the_settled_block() -> None:
    async def story() -> int:
        scene = Scene()
        await scene.fill(14)
        job = staged(scene)
        scene.replace_from(26)
        _, again = await scene.settle(job)
        assert again is not None
        return again.first

    assert play(story()) == 16


def test_one_in_the_place_of_another_goes_down_with_it_stage_by_stage() -> None:
    """Not to where the first order began, which may be years ago."""

    async def story() -> list[int]:
        scene = Scene()
        for number in (14, 17, 22, 25):
            await scene.fill(number)
        job = staged(scene)
        scene.replace_from(26)
        _, again = await scene.settle(job)
        assert again is not None
        filled = replace(again, state="settling", told=26, settled=15, base=scene.block(15), highest=scene.block(26))
        scene.replace_from(20)
        _, below = await scene.settle(filled)
        assert below is not None
        assert [fact.first for fact in scene.committed] == [again.first, below.first]
        scene.replace_from(14)
        return [again.first, below.first, (await scene.branches.grounded(below)).first]

    assert play(story()) == [23, 19, 2]


def test_what_a_job_in_the_place_of_another_fills_goes_on_from_the_logs_that_are_accounted_for() -> None:
    block = BlockRef(15, NOBODY, 0)
    job = Job("job", CHAIN_ID, 16, None, (HOLDING,), filled_from=2, grounds=(Stage(block, carried=frozenset()),))
    assert job.is_accounted_for(HOLDING, 9)
    assert not job.is_accounted_for(HOLDING, 1), "nobody looked right above that record"
    assert not replace(job, first=15).is_accounted_for(HOLDING, 9), "what the stage says is about a block above"
    for carried in (None, frozenset({HOLDING})):
        assert not replace(job, grounds=(Stage(block, carried=carried),)).is_accounted_for(HOLDING, 9)


def test_a_job_with_too_many_records_within_reach_keeps_no_stages() -> None:
    scene = Scene()
    job = staged(scene)
    many = [Holding(NATIVE, Address(f"0x{number:040x}")) for number in range(MOST_RESTS + 1)]
    assert job.with_rows((holding, 20) for holding in many[: MOST_RESTS - 3]).stages
    assert not job.with_rows((holding, 20) for holding in many).stages


def test_a_reorg_takes_back_the_part_of_history_that_it_may_reach() -> None:
    assert _redone_from(13) == 16


def test_a_reorg_deeper_than_the_window_takes_back_all_that_the_job_filled() -> None:
    assert _redone_from(18) == 2


def test_what_a_deeper_cut_removed_below_the_settled_block_is_filled_again() -> None:
    """Of blocks that are canonical still: the cut is at the newest record that could be compared."""
    assert _redone_from(13, knows_base=True, rests=15) == 2


def test_a_job_remembers_the_newest_of_its_records_that_no_reorg_should_reach() -> None:
    scene = Scene()
    rows = [HistoryRow(scene.block(number), 7, None, (), "latest", derived=False) for number in (9, 14, 16)]
    facts = [
        HistoryFilled(CHAIN_ID, HOLDING, row.block.number, row.block.number, (row,), TokenInfo(), "job") for row in rows
    ]
    job = _with(Job("job", CHAIN_ID, 2, None, (HOLDING,), settled=15), facts[:1])
    assert _with(job, facts[1:]).rests == {HOLDING: 14}


def test_what_is_in_the_place_of_the_record_above_the_settled_block_is_joined_again() -> None:
    assert _redone_from(13, anchor=17) == 16
    assert _redone_from(13, anchor=16) == 15


def test_a_settled_block_without_records_tells_of_a_deeper_reorg_as_well() -> None:
    assert _redone_from(16, knows_base=False) == 16
    assert _redone_from(16, knows_base=True) == 2


def test_what_was_settled_when_it_was_ordered_and_was_of_another_branch_is_filled_again_from_its_beginning() -> None:
    """Whoever told its highest block stood still on a branch that was left long before."""

    async def story() -> int | None:
        scene = Scene()
        scene.watch = Watch(solvers=frozenset(WALLETS))
        await scene.record(9, 12)
        job = await scene.preparer().prepare(Job("job", CHAIN_ID, 2, None, (HOLDING,)))
        assert job.settled > 9
        scene.world.reorg(25)
        await scene.fill(10)  # by another job, of the branch that stays
        _, again = await scene.settle(replace(job, state="settling", told=9))
        return None if again is None else again.first

    assert play(story()) == 2


def test_an_order_that_ended_far_below_what_a_reorg_reached_is_over() -> None:
    """Else one in its place would go on from it, as if it had filled everything up to there."""

    async def story() -> None:
        scene = Scene()
        await scene.fill(4)
        job = Job("job", CHAIN_ID, 2, 5, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="settling")
        settling = replace(job, settled=15, highest=scene.block(20), told=20)
        scene.world.reorg(13)
        assert await scene.settle(settling) == (replace(settling, state="done"), None)
        assert not scene.committed

    play(story())
