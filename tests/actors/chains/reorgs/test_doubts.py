"""Nothing is rolled back because one answer of one node says so."""

from __future__ import annotations

import pytest
import structlog.testing

from actors.chains.reorgs.doubts import FAR_BELOW, SET_BACK_SECONDS
from indexer.domain.chain import BlockRef, Head
from indexer.domain.telling.facts import BalanceReverted, StreamResync
from tests.actors.chains.stage import BOB, CAROL, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE


def taken_back(stage: Stage) -> bool:
    return any(isinstance(fact, BalanceReverted | StreamResync) for fact in stage.facts)


def counted(stage: Stage, metric: str) -> int:
    line = f'indexer_{metric}_total{{chain="sim"}} '
    return sum(
        int(float(one.removeprefix(line)))
        for one in stage.metrics.render()[0].decode().splitlines()
        if one.startswith(line)
    )


class Fork:
    """A second node behind the same address, on a branch of its own; it answers every so manieth question."""

    def __init__(self, stage: Stage, ours: list[Head], theirs: list[Head], turns: list[bool]) -> None:
        self._stage, self._ours, self._theirs, self._turns = stage, ours, theirs, turns
        self._headers, self._newest = stage.node.headers, stage.node.newest
        stage.node.headers = self.headers  # type: ignore[method-assign] # a load balancer
        stage.node.newest = self.newest  # type: ignore[method-assign] # a load balancer

    async def headers(self, first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]:
        if self._is_forks_turn():
            low = [head for head in await self._headers(first, last, beside) if head.number < self._theirs[0].number]
            return (*low, *(head for head in self._theirs if first <= head.number <= last))
        return await self._headers(first, last, beside)

    async def newest(self) -> Head:
        return self._theirs[-1] if self._is_forks_turn() else await self._newest()

    def _is_forks_turn(self) -> bool:
        return self._turns.pop(0) if self._turns else False


async def forked(stage: Stage, turns: list[bool], *, longer: int = 0) -> Fork:
    """Two blocks of ours are told; a fork has others, and announces its newest."""
    world = stage.world
    ours = [world.pay(USD, OUTSIDE, BOB, 5), world.mine(busy=0)]
    await stage.hear(*ours)
    kept = world.canonical[-2:]
    del world.canonical[-2:]
    theirs = [world.pay(USD, OUTSIDE, CAROL, 6), *(world.mine(busy=0) for _ in range(1 + longer))]
    del world.canonical[-2 - longer :]
    world.canonical += kept
    fork = Fork(stage, ours, theirs, turns)
    await stage.hear(theirs[-1])
    return fork


@in_virtual_time
async def test_a_fork_that_answers_once_takes_nothing_back() -> None:
    """It gave its head and its chain; asked anew, another node behind the same address answers."""
    async with staged() as stage:
        with structlog.testing.capture_logs() as logs:
            await forked(stage, [True, True, False])
        assert not taken_back(stage)
        assert stage.state() == "live"
        assert [entry["event"] for entry in logs] == ["reorg_doubted"]
        (distrusted,) = stage.node.distrusted
        assert "contradicts itself" in distrusted
        assert counted(stage, "reorgs_doubted") == 1
        assert counted(stage, "reorgs") == 0
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert [fact.change for fact in stage.updates()] == [5, 1]


@pytest.mark.parametrize("blocks", [1, 3])
@in_virtual_time
async def test_a_branch_that_ends_below_our_tip_is_not_believed_at_once(blocks: int) -> None:
    async with staged() as stage:
        world = stage.world
        await stage.hear(world.pay(USD, OUTSIDE, BOB, 5), *(world.mine(busy=0) for _ in range(3)))
        kept = world.canonical[-4:]
        del world.canonical[-4:]
        world.pay(USD, OUTSIDE, CAROL, 6)
        await stage.hear([world.tip, *(world.mine(busy=0) for _ in range(blocks - 1))][-1])
        await stage.settle(SET_BACK_SECONDS / 2)
        assert not taken_back(stage)
        assert "nothing is rolled back" in str(stage.status.last_error)
        world.canonical[-blocks:] = kept
        await stage.hear(world.mine(busy=0))
        await stage.settle(SET_BACK_SECONDS)
        assert not taken_back(stage)
        assert (stage.state(), stage.status.last_error) == ("live", None)


@in_virtual_time
async def test_a_chain_that_was_set_back_for_good_is_followed() -> None:
    async with staged() as stage:
        world = stage.world
        await stage.hear(world.pay(USD, OUTSIDE, BOB, 5), *(world.mine(busy=0) for _ in range(3)))
        del world.canonical[-4:]
        await stage.hear(world.pay(USD, OUTSIDE, CAROL, 6))
        await stage.settle(SET_BACK_SECONDS + 10)
        assert taken_back(stage)
        assert (stage.state(), stage.status.block) == ("live", world.tip.number)


@in_virtual_time
async def test_an_old_doubt_makes_no_new_one_believed_sooner() -> None:
    async with staged() as stage:
        world = stage.world
        for _ in range(2):
            await stage.hear(world.pay(USD, OUTSIDE, BOB, 5), *(world.mine(busy=0) for _ in range(3)))
            kept = world.canonical[-4:]
            del world.canonical[-4:]
            await stage.hear(world.pay(USD, OUTSIDE, CAROL, 6))
            await stage.settle(SET_BACK_SECONDS / 2)
            world.canonical[-1:] = kept
            await stage.hear(world.mine(busy=0))
            await stage.settle(2 * SET_BACK_SECONDS)
        assert not taken_back(stage)


@in_virtual_time
async def test_a_far_lower_head_is_never_a_reorg_and_is_said() -> None:
    async with staged(window=256) as stage:
        world = stage.world
        heads = [world.mine(busy=0) for _ in range(FAR_BELOW + 10)]
        await stage.hear(heads[-1])
        kept = world.canonical[4:]
        del world.canonical[4:]
        with structlog.testing.capture_logs() as logs:
            await stage.hear(world.pay(USD, OUTSIDE, CAROL, 6))
            await stage.settle(600)
        assert not taken_back(stage)
        assert stage.state() == "stale"
        assert "far below" in str(stage.status.last_error)
        assert [entry["event"] for entry in logs].count("reorg_doubted") == 1
        world.canonical[4:] = kept
        await stage.hear(world.mine(busy=0))
        await stage.settle(10)
        assert (stage.state(), taken_back(stage)) == ("live", False)


@in_virtual_time
async def test_a_chain_that_was_set_back_far_stays_stale_until_it_is_near_our_height() -> None:
    """Also in the next life: a node that syncs looks the same."""
    async with staged(window=256) as stage:
        world = stage.world
        await stage.hear(world.pay(USD, OUTSIDE, BOB, 5))
        paid = world.tip.number
        await stage.hear([world.mine(busy=0) for _ in range(FAR_BELOW + 10)][-1])
        top = world.tip.number
        del world.canonical[paid:]
        await stage.hear(world.pay(USD, OUTSIDE, CAROL, 6))
        await stage.settle(60)
        assert (stage.state(), taken_back(stage)) == ("stale", False)
        await stage.stop()
        stage.start()
        stage.say_tip()
        await stage.settle(600)
        assert (stage.state(), stage.status.ready, taken_back(stage)) == ("stale", False, False)
        assert "far below" in str(stage.status.last_error)
        while world.tip.number < top - FAR_BELOW:
            world.mine(busy=0)
        stage.say_tip()
        await stage.settle(60)
        assert (stage.state(), stage.status.block, taken_back(stage)) == ("live", world.tip.number, True)


@in_virtual_time
async def test_while_another_endpoint_still_has_our_tip_nothing_is_rolled_back() -> None:
    async with staged() as stage:
        world, disputed = stage.world, True

        async def is_disputed(_tip: Head) -> bool:
            return disputed

        stage.node.is_disputed = is_disputed  # type: ignore[method-assign] # the second endpoint is on our branch
        await stage.hear(world.pay(USD, OUTSIDE, BOB, 5))
        world.canonical.pop()
        await stage.hear(world.pay(USD, OUTSIDE, CAROL, 6))
        assert not taken_back(stage)
        assert "endpoints disagree" in str(stage.status.last_error)
        disputed = False
        await stage.settle(5)
        assert taken_back(stage)
        assert (stage.state(), stage.status.block) == ("live", world.tip.number)
