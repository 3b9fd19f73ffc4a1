"""Logs are asked for ahead, one range at most, and left behind by nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from random import Random
from typing import Any

import pytest

from actors.history.collecting import Collector
from indexer.domain.chain import BlockHash, Holding, KnownBlock
from indexer.domain.following.views import Readings
from indexer.domain.history.backfill import Moved
from indexer.domain.history.jobs import Anchor, Job
from indexer.errors import (
    BlockUnknown,
    IndexerError,
    NodeUnreachable,
    ResponseTooLarge,
    StateMissing,
    Transient,
    Unheard,
)
from tests.sim.clock import play
from tests.sim.faults import NONE
from tests.sim.node import SimNode
from tests.sim.world import CHAIN_ID, TOKENS, WALLETS, World

HOLDING = Holding(TOKENS[0], WALLETS[0])


class _Node(SimNode):
    """Notes which ranges were asked for, and takes its time."""

    def __init__(self, blocks: int) -> None:
        random = Random(5)  # noqa: S311 - the same story every time
        world = World(random)
        for _ in range(blocks):
            world.mine()
        super().__init__(world, random, lambda: NONE)
        self.world = world
        self.asked: list[tuple[int, int]] = []
        self.under_way = 0
        self.fails_below = 0
        self.most_blocks = 1_000
        self.refuses_to_read: IndexerError | None = None

    async def moved(self, first: int, last: int, *more: Any) -> tuple[Moved, ...]:
        self.asked.append((first, last))
        self.under_way += 1
        try:
            await asyncio.sleep(1)
            if first < self.fails_below:
                raise NodeUnreachable("gone")
            if last - first >= self.most_blocks:
                raise ResponseTooLarge("limit exceeded")
            return await super().moved(first, last, *more)
        finally:
            self.under_way -= 1

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
        if self.refuses_to_read is not None:
            raise self.refuses_to_read
        return await super().read(wanted)


def _job(node: _Node) -> Job:
    top = node.world.tip
    anchors = {HOLDING: Anchor(top.number, 7, True)}
    return Job(
        "job", CHAIN_ID, 0, None, (HOLDING,), anchors=anchors, top=top.number, cursor=top.number, highest=top.ref
    )


def _unheard(reason: str) -> None:
    raise AssertionError(reason)


def test_a_range_that_is_refused_is_asked_for_in_halves_which_is_said() -> None:
    async def story() -> None:
        node = _Node(1_000)
        node.most_blocks = 70
        collector, job, heard = Collector(node), _job(node), list[str]()
        chunks = await collector.step(job, heard.append)
        assert (chunks[0].first, chunks[-1].last) == (job.cursor - 63, job.cursor)
        assert heard == [f"{blocks} blocks are too many for one question: limit exceeded" for blocks in (256, 128)]
        await collector.drop()

    play(story())


def test_the_next_range_is_under_way_while_one_is_looked_at() -> None:
    async def story() -> None:
        node = _Node(1_000)
        collector, job = Collector(node), _job(node)
        chunks = await collector.step(job, _unheard)
        assert (chunks[-1].last, node.under_way) == (job.cursor, 1)
        below = chunks[0].first - 1
        assert node.asked[1][1] == below
        await asyncio.sleep(5)
        started = asyncio.get_running_loop().time()
        lower = await collector.step(Job(**{**_fields(job), "cursor": below}), _unheard)
        assert (lower[0].first, lower[-1].last) == node.asked[1]
        assert asyncio.get_running_loop().time() - started < 1
        await collector.drop()

    play(story())


def test_all_that_was_asked_for_ahead_is_what_would_have_been_asked_for_then() -> None:
    async def story() -> list[tuple[int, int]]:
        node = _Node(2_000)
        collector, job = Collector(node), _job(node)
        cursor = job.cursor
        while cursor >= 0:
            cursor = (await collector.step(Job(**{**_fields(job), "cursor": cursor}), _unheard))[0].first - 1
        assert not node.under_way
        return node.asked

    asked = play(story())
    assert [last for _, last in asked[1:]] == [first - 1 for first, _ in asked[:-1]]
    assert asked[-1][0] == 0


@pytest.mark.parametrize("fails", [True, False])
def test_what_nobody_wants_any_more_is_ended(*, fails: bool) -> None:
    async def story() -> None:
        node = _Node(1_000)
        collector, job = Collector(node), _job(node)
        chunks = await collector.step(job, _unheard)
        node.fails_below = chunks[0].first if fails else 0
        await asyncio.sleep(2 if fails else 0)
        assert bool(node.under_way) != fails
        await collector.drop()
        assert not node.under_way

    play(story())


def test_another_job_s_logs_are_not_taken_for_ours() -> None:
    async def story() -> None:
        node = _Node(1_000)
        collector, job = Collector(node), _job(node)
        first = (await collector.step(job, _unheard))[0].first
        other = Job(**{**_fields(job), "id": "other", "cursor": first - 1})
        await collector.step(other, _unheard)
        assert node.asked[1] == node.asked[2]
        await collector.drop()

    play(story())


def _fields(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in Job.__slots__}


@pytest.mark.parametrize("refusal", [BlockUnknown("no such block"), StateMissing("pruned")])
def test_a_node_without_state_tells_nothing_of_that_block(refusal: IndexerError) -> None:
    async def story() -> None:
        node = _Node(10)
        node.refuses_to_read = refusal
        assert await Collector(node).known_before(_job(node), {HOLDING}, 5, None) == {}

    play(story())


@pytest.mark.parametrize("refusal", [Unheard("no such block; no answer from a"), StateMissing("pruned", ("a",))])
def test_state_is_not_taken_for_gone_while_one_that_may_have_it_does_not_answer(refusal: IndexerError) -> None:
    async def story() -> None:
        node = _Node(10)
        node.refuses_to_read = refusal
        with pytest.raises(Transient):
            await Collector(node).known_before(_job(node), {HOLDING}, 5, None)

    play(story())
