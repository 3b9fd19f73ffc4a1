"""One block in the place of our newest: one round trip, and nothing taken back unless all who are asked agree."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, Address, Head
from indexer.domain.following.views import Parting, Readings
from indexer.domain.telling.facts import BalanceReverted
from indexer.errors import StateMissing
from tests.actors.chains.reorgs.test_doubts import taken_back
from tests.actors.chains.stage import BOB, CAROL, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE

QUESTIONS = ("newest", "headers", "look", "replacement", "parting", "read", "is_disputed")


def listened(stage: Stage) -> list[str]:
    """What is asked of the node, in order, from now on."""
    asked: list[str] = []

    def noting(name: str, question: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def note(*args: Any, **more: Any) -> Any:
            asked.append(name)
            return await question(*args, **more)

        return note

    asking = stage.follower.asking
    for name in QUESTIONS:
        setattr(asking, name, noting(name, getattr(asking, name)))
    return asked


@in_virtual_time
async def test_a_replaced_block_is_asked_for_in_one_round_trip_and_told_in_one_commit() -> None:
    async with staged() as stage:
        world = stage.world
        await stage.hear(world.pay(USD, OUTSIDE, BOB, 5))
        before, asked = len(stage.commits), listened(stage)
        world.canonical.pop()
        await stage.hear(world.pay(USD, OUTSIDE, BOB, 6))
        assert sorted(asked) == ["is_disputed", "parting", "replacement"]
        (commit,) = stage.commits[before:]
        assert [type(fact) for fact in commit.facts] == [BalanceReverted, BalanceUpdated]
        assert [fact.change for fact in stage.updates()] == [5, 6]
        assert commit.checkpoint is not None
        assert commit.checkpoint.head == world.tip == stage.follower.tip


@in_virtual_time
async def test_what_only_the_new_block_moves_is_read_as_well() -> None:
    async with staged() as stage:
        world = stage.world
        await stage.hear(world.pay(USD, OUTSIDE, BOB, 5))
        asked = listened(stage)
        world.canonical.pop()
        await stage.hear(world.pay(USD, OUTSIDE, CAROL, 6))
        assert sorted(asked) == ["is_disputed", "parting", "read", "replacement"]
        assert [(fact.holding.solver, fact.change) for fact in stage.updates()] == [(BOB, 5), (CAROL, 6)]


@in_virtual_time
async def test_a_native_balance_of_a_replaced_block_is_taken_back() -> None:
    async with staged() as stage:
        world = stage.world
        await stage.hear(world.pay(Address(NATIVE), OUTSIDE, BOB, 5))
        world.canonical.pop()
        await stage.hear(world.pay(Address(NATIVE), OUTSIDE, CAROL, 6))
        (back,) = [fact for fact in stage.facts if isinstance(fact, BalanceReverted)]
        assert (back.holding.solver, back.previous - back.balance) == (BOB, 5)


@in_virtual_time
async def test_a_second_answer_that_does_not_agree_is_enough_to_ask_everything_anew() -> None:
    """The announcement was of a fork, which one of two nodes behind an address follows."""

    def ours_stays(stage: Stage, ours: Head) -> Parting:
        ancestor = stage.world.canonical[-2]
        return Parting(Readings(ancestor.balances), (ancestor.head, ours))

    await _disagree("parting", ours_stays)


@in_virtual_time
async def test_another_endpoint_that_still_has_our_block_is_enough_to_ask_everything_anew() -> None:
    await _disagree("is_disputed", lambda _stage, _ours: True)


@in_virtual_time
async def test_state_that_is_gone_is_enough_to_ask_everything_anew() -> None:
    def pruned(_stage: Stage, _ours: Head) -> None:
        raise StateMissing("pruned")

    for question in ("replacement", "parting"):
        await _disagree(question, pruned)


async def _disagree(question: str, answer: Callable[[Stage, Head], Any]) -> None:
    """Once, to this question; by the next one the node is back on our branch."""
    async with staged() as stage:
        world, asking = stage.world, stage.follower.asking
        ours = world.pay(USD, OUTSIDE, BOB, 5)
        await stage.hear(ours)
        kept = world.canonical.pop()
        theirs = world.pay(USD, OUTSIDE, CAROL, 6)
        honest = getattr(asking, question)

        async def disagree(*_args: Any, **_more: Any) -> Any:
            setattr(asking, question, honest)
            await asyncio.sleep(0.1)  # until the others have answered
            world.canonical[-1] = kept
            return answer(stage, ours)

        setattr(asking, question, disagree)
        await stage.hear(theirs)
        assert getattr(asking, question) == honest
        assert not taken_back(stage)
        assert (stage.state(), stage.follower.tip) == ("live", ours)
