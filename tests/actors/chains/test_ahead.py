"""What was missed is asked for in parts, each while the one before it is written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.chains import ahead
from actors.chains.ahead import spans_of
from indexer.domain.chain import BlockRef
from indexer.errors import NodeUnreachable
from tests.actors.chains.stage import Stage, staged
from tests.actors.chains.test_chain import BOB, USD, in_virtual_time
from tests.sim.world import OUTSIDE


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "CATCH_UP_BLOCKS", 4)


def noted(stage: Stage) -> list[str]:
    """Questions for headers and writes, as they begin and end."""
    story: list[str] = []
    headers, append_all = stage.node.headers, stage.store.commits.append_all

    async def asking(first: int, last: int, beside: BlockRef | None = None) -> Any:
        story.append(f"ask {last - first + 1}")
        return await headers(first, last, beside)

    async def writing(commits: Any) -> None:
        story.append("write")
        await asyncio.sleep(1)
        await append_all(commits)
        story.append("written")

    stage.node.headers = asking  # type: ignore[method-assign] # to listen
    stage.store.commits.append_all = writing  # type: ignore[method-assign] # to listen
    return story


@in_virtual_time
async def test_the_next_part_is_asked_for_while_this_one_is_written() -> None:
    async with staged() as stage:
        story = noted(stage)
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(10)]
        await stage.hear(heads[-1])
        await asyncio.sleep(10)
        assert [fact.block.hash for fact in stage.updates()] == [head.hash for head in heads]
        assert story.count("written") == 3
        assert story.index("ask 4", story.index("ask 4") + 1) < story.index("written")
        assert story.index("ask 2") < len(story) - 1 - story[::-1].index("written")


@in_virtual_time
async def test_a_part_that_cannot_be_had_takes_nothing_from_the_one_before() -> None:
    async with staged() as stage:
        headers = stage.node.headers
        troubles = [None, NodeUnreachable("reset"), None, None]

        async def failing(first: int, last: int, beside: BlockRef | None = None) -> Any:
            trouble = troubles.pop(0) if troubles else None
            if trouble is not None:
                raise trouble
            return await headers(first, last, beside)

        stage.node.headers = failing  # type: ignore[method-assign] # fails once
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(10)]
        await stage.hear(heads[-1])
        await asyncio.sleep(10)
        assert troubles == []
        assert [fact.block.hash for fact in stage.updates()] == [head.hash for head in heads]


@in_virtual_time
async def test_a_branch_that_is_replaced_between_two_parts_is_repaired() -> None:
    async with staged() as stage:
        headers = stage.node.headers
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(10)]
        asked = 0

        async def replacing(first: int, last: int, beside: BlockRef | None = None) -> Any:
            nonlocal asked
            asked += 1
            if asked == 2:
                del stage.world.canonical[-8:]
                heads[2:] = [stage.world.pay(USD, OUTSIDE, BOB, 3) for _ in range(9)]
            return await headers(first, last, beside)

        stage.node.headers = replacing  # type: ignore[method-assign] # the chain moves on meanwhile
        await stage.hear(heads[-1])
        await asyncio.sleep(10)
        rows = sorted(stage.disk.kept.records.values(), key=lambda row: row.block.number)
        ours = [row.block.hash for row in rows if row.holding.solver == BOB and row.holding.token == USD]
        assert ours[-len(heads) :] == [head.hash for head in heads]


@pytest.mark.parametrize(("first", "last", "lengths"), [(5, 5, [1]), (5, 8, [4]), (5, 13, [4, 4, 1])])
def test_every_block_is_in_one_part(first: int, last: int, lengths: list[int]) -> None:
    spans = list(spans_of(first, last))
    assert [span.last - span.first + 1 for span in spans] == lengths
    assert [n for span in spans for n in range(span.first, span.last + 1)] == list(range(first, last + 1))
