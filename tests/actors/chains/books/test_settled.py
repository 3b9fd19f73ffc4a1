"""How sure blocks are is told once, as far as nodes say it or depth does."""

from __future__ import annotations

import asyncio
from itertools import cycle

import pytest

from indexer.domain.chain import Head
from indexer.domain.following.finality import FINALIZED_DEPTH, SAFE_DEPTH, Settled, Tags
from indexer.domain.telling.facts import ChainFinalized
from tests.actors.chains.stage import BOB, STRANGE, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE

UNTRUE = Tags(None, None, untrue=True)
NO_TAGS = Tags(None, None)


def settled(stage: Stage) -> list[tuple[str, int]]:
    return [(fact.level, fact.block.number) for fact in stage.facts if isinstance(fact, ChainFinalized)]


@in_virtual_time
async def test_the_newest_block_with_records_is_told_once_per_level_when_it_gets_there() -> None:
    async with staged() as stage:
        first = stage.world.tip.number
        paid = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(3)]
        await stage.hear(paid[-1])
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(4)))
        await stage.settle(5)
        assert settled(stage) == [("safe", first + 1)]
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(12)))
        await stage.settle(5)
        assert settled(stage)[1:] == [("safe", paid[-1].number), ("finalized", paid[-1].number)]
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(20)))
        await stage.settle(30)
        assert len(settled(stage)) == 3


@in_virtual_time
async def test_the_first_commit_tells_already_what_was_settled_before_us() -> None:
    stage = Stage()
    for _ in range(20):
        stage.world.mine()
    stage.start()
    await stage.settle()
    checkpoint = stage.commits[0].checkpoint
    assert checkpoint is not None
    assert checkpoint.settled == Settled(14, 8)
    await stage.stop()


@in_virtual_time
async def test_tags_are_asked_once_per_block_at_most_and_never_for_a_chain_that_stands_still() -> None:
    async with staged() as stage:
        await stage.settle(60)
        asked = stage.node.tags_asked
        await stage.settle(600)
        assert stage.node.tags_asked == asked
        for _ in range(20):
            await stage.hear(stage.world.mine(busy=0))
            await stage.settle(11)
        assert stage.node.tags_asked == asked + 20


@in_virtual_time
async def test_without_tags_depth_counts() -> None:
    stage = Stage(window=256)
    stage.node.tag_lags = None
    stage.world.mine()
    stage.start()
    await stage.settle(10)
    paid = stage.world.pay(USD, OUTSIDE, BOB, 1)
    await stage.hear(paid)
    for count, told in ((SAFE_DEPTH - 1, []), (1, ["safe"]), (FINALIZED_DEPTH - SAFE_DEPTH, ["safe", "finalized"])):
        for _ in range(count):
            await stage.hear(stage.world.mine(busy=0))
        await stage.settle(5)
        assert [level for level, number in settled(stage) if number == paid.number] == told
    await stage.stop()


@in_virtual_time
async def test_heads_never_wait_for_a_node_that_is_slow_to_tell_its_tags() -> None:
    async with staged() as stage:

        async def never(beside: Head | None = None) -> Tags:  # noqa: ARG001 - as the node has it
            await asyncio.sleep(3600)
            raise AssertionError

        stage.node.tags = never  # type: ignore[method-assign] # hangs
        await stage.settle(10)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert [fact.change for fact in stage.updates()] == [1]


@in_virtual_time
async def test_a_tag_of_another_branch_or_beyond_our_tip_is_not_believed() -> None:
    async with staged() as stage:
        paid = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(paid)
        beyond = Head(paid.number + 5, STRANGE, paid.hash, 0)
        stranger = Head(paid.number, STRANGE, paid.parent, 0)
        answers = [Tags(beyond, stranger), Tags(paid, paid)]

        async def tags(beside: Head | None = None) -> Tags:  # noqa: ARG001 - as the node has it
            return answers[0]

        stage.node.tags = tags  # type: ignore[method-assign] # an endpoint on a fork
        await stage.settle(5)
        assert settled(stage) == []
        answers.pop(0)
        await stage.hear(stage.world.mine(busy=0))
        await stage.settle(5)
        assert settled(stage) == [("safe", paid.number), ("finalized", paid.number)]


def answering(stage: Stage, *answers: Tags | None) -> None:
    """Of several nodes behind the address, one after the other; `None` answers as it is."""
    turns, true = cycle(answers), stage.node.tags

    async def tags(beside: Head | None = None) -> Tags:
        answer = next(turns)
        return await true(beside) if answer is None else answer

    stage.node.tags = tags  # type: ignore[method-assign] # not all of them know their tags


async def heard_one_by_one(stage: Stage, count: int) -> None:
    for _ in range(count):
        await stage.hear(stage.world.mine(busy=0))
        await stage.settle(5)


@in_virtual_time
async def test_where_tags_are_nonsense_from_some_time_on_depth_counts_after_some_more() -> None:
    async with staged(window=256) as stage:
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        await stage.settle(5)
        answering(stage, UNTRUE)
        paid = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(paid)
        await heard_one_by_one(stage, FINALIZED_DEPTH + 2)
        assert ("finalized", paid.number) in settled(stage)


@pytest.mark.parametrize("odd", [UNTRUE, NO_TAGS], ids=["untrue", "missing"])
@in_virtual_time
async def test_an_odd_answer_now_and_then_calls_nothing_final_that_is_not(odd: Tags) -> None:
    """Finality lags far behind, and one of two nodes behind the address does not know it."""
    async with staged(window=256) as stage:
        stage.node.tag_lags = (200, 200)
        answering(stage, None, odd)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        await heard_one_by_one(stage, 2 * FINALIZED_DEPTH)
        assert {number for _, number in settled(stage)} <= {0}


@pytest.mark.parametrize("odd", [UNTRUE, NO_TAGS], ids=["untrue", "missing"])
@in_virtual_time
async def test_nor_does_one_at_the_beginning_of_a_life(odd: Tags) -> None:
    stage = Stage(window=256)
    stage.node.tag_lags = (200, 200)
    answering(stage, odd, odd, None)
    for _ in range(2 * FINALIZED_DEPTH):
        stage.world.mine()
    stage.start()
    await stage.settle(30)
    await heard_one_by_one(stage, 3)
    numbers = [each.checkpoint.settled for each in stage.commits if each.checkpoint is not None]
    assert numbers
    assert all(settled is None or settled.finalized <= 0 for settled in numbers)
    await stage.stop()


@in_virtual_time
async def test_what_was_told_as_settled_is_not_told_again_after_a_restart() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(20)))
        await stage.settle(5)
        before = settled(stage)
        assert before
        await stage.stop()
        stage.start()
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(3)))
        await stage.settle(10)
        assert settled(stage) == before


@in_virtual_time
async def test_a_reorg_below_what_was_settled_makes_the_new_branch_get_there_anew() -> None:
    async with staged() as stage:
        orphan = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(orphan, *(stage.world.mine(busy=0) for _ in range(13)))
        await stage.settle(5)
        assert ("finalized", orphan.number) in settled(stage)
        told = len(settled(stage))
        del stage.world.canonical[orphan.number :]
        paid = stage.world.pay(USD, OUTSIDE, BOB, 2)
        for _ in range(14):
            await stage.hear(stage.world.mine(busy=0))
        assert paid.number == orphan.number
        await stage.settle(5)
        assert settled(stage)[told:][-1] == ("finalized", paid.number)
        newest = [fact for fact in stage.facts if isinstance(fact, ChainFinalized)][-1]
        assert newest.block == paid.ref
