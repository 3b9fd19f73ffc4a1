"""What was missed is asked for in parts, each while the one before it is written."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from actors.chains.blocks import ahead
from actors.chains.blocks.ahead import Ahead, Span, spans_of
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockRef, Holding
from indexer.domain.telling.facts import StreamResync
from indexer.errors import BadAnswer, NodeUnreachable, StateMissing
from tests.actors.chains.stage import BOB, USD, Stage, staged
from tests.domain.samples import head_at
from tests.sim.clock import in_virtual_time
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
        first_written = story.index("written")
        assert story[:first_written].count("ask 4") == 2
        assert story.index("ask 2") < first_written


@in_virtual_time
async def test_so_many_parts_are_under_way_at_most() -> None:
    async with staged() as stage:
        story = noted(stage)
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(24)]
        await stage.hear(heads[-1])
        await asyncio.sleep(20)
        written = [place for place, what in enumerate(story) if what == "written"]
        asked = [sum(what.startswith("ask") for what in story[:place]) for place in written]
        assert asked == [3, 4, 5, 6, 6, 6]


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


@in_virtual_time
async def test_a_branch_whose_state_is_gone_is_followed_once_ours_is_rolled_back() -> None:
    """That it is another one shows in its headers; only then is it a gap, which is told and read over."""
    async with staged() as stage:
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        await asyncio.sleep(1)
        look = stage.node.look
        del stage.world.canonical[-1:]
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 2) for _ in range(3)]

        async def pruned(seen: Any, watch: Watch, *, natives: bool = True) -> Any:
            if seen[0].number <= heads[1].number:
                raise StateMissing("pruned")
            return await look(seen, watch, natives=natives)

        stage.node.look = pruned  # type: ignore[method-assign,assignment] # for good
        await stage.hear(heads[-1])
        await asyncio.sleep(60)
        facts = [fact for commit in stage.disk.kept.commits for fact in commit.facts]
        assert any(isinstance(fact, StreamResync) and fact.block.hash == heads[-1].hash for fact in facts)
        assert stage.updates()[-1].balance == stage.world.canonical[-1].balances[Holding(USD, BOB)]


@pytest.mark.parametrize("left_out", ["the first", "one in the middle", "all"])
async def test_headers_that_are_not_those_of_the_span_are_no_part(left_out: str) -> None:
    heads = tuple(head_at(number) for number in range(5, 9))
    answered = {"the first": heads[1:], "one in the middle": (heads[0], *heads[2:]), "all": ()}[left_out]
    node: Any = SimpleNamespace(missed=_answering(answered))
    parts = Ahead(node, Watch(), _answering(()), [Span(5, 8)])
    parts.ask()
    with pytest.raises(BadAnswer, match="headers 5 to 8 are not one chain"):
        await parts.asked()


def _answering(answer: Any) -> Any:
    async def answering(*_: object) -> Any:
        return answer

    return answering


@pytest.mark.parametrize(("first", "last", "lengths"), [(5, 5, [1]), (5, 8, [4]), (5, 13, [4, 4, 1])])
def test_every_block_is_in_one_part(first: int, last: int, lengths: list[int]) -> None:
    spans = list(spans_of(first, last))
    assert [span.last - span.first + 1 for span in spans] == lengths
    assert [n for span in spans for n in range(span.first, span.last + 1)] == list(range(first, last + 1))
