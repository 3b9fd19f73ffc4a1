"""What is asked once more, how often at most, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.history.doubting import AGREED, SecondLook
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, BlockRef, Holding
from indexer.domain.history.backfill import Chunk, Moved
from indexer.domain.history.jobs import Anchor, Job
from indexer.domain.history.mismatches import Span
from indexer.domain.history.walks import Walk, walked
from indexer.errors import ResponseTooLarge
from tests.domain.samples import DAI, USDC, block_at, transfer, wallet

ALICE, NOBODY = wallet(1), wallet(9)
HELD, OTHER = Holding(USDC, ALICE), Holding(DAI, ALICE)


def _moved(number: int, holding: Holding = HELD, index: int = 0) -> Moved:
    log = transfer(NOBODY, holding.solver, token=Address(holding.token), number=number, index=index)
    return Moved(block_at(number), log)


class _Node:
    """Has logs that were left out, and notes what it was asked for."""

    def __init__(self, *left_out: Moved, most: int = 1_000) -> None:
        self.has_others = True
        self.asked: list[tuple[int, int, set[Address]]] = []
        self._left_out = left_out
        self._most = most

    async def left_out(
        self, first: int, last: int, watch: Watch, _beside: BlockRef | None, told: Collection[Moved]
    ) -> tuple[Moved, ...]:
        if last - first >= self._most:
            raise ResponseTooLarge("fewer blocks, please")
        self.asked.append((first, last, set(watch.tokens)))
        assert all(first <= each.block.number <= last for each in told)
        return tuple(
            each
            for each in self._left_out
            if first <= each.block.number <= last and each.transfer.token in watch.tokens and each not in told
        )


class _Book:
    def __init__(self, *chunks: Chunk) -> None:
        self.kept = {chunk.first: chunk for chunk in chunks}
        self.put_at: list[int] = []

    async def put(self, _job_id: str, chunk: Chunk) -> None:
        self.put_at.append(chunk.first)
        self.kept[chunk.first] = chunk

    async def chunks(self, _job_id: str, *, newest_first: bool) -> AsyncIterator[Chunk]:
        for first in sorted(self.kept, reverse=newest_first):
            yield self.kept[first]


class _Collector:
    """Reads seven everywhere."""

    async def reads(self, _job: Job, moved: Collection[Moved]) -> tuple[dict[int, Mapping[Holding, int]], None]:
        return {each.block.number: {Holding(each.transfer.token, ALICE): 7} for each in moved}, None


def _second(node: _Node, book: _Book) -> SecondLook:
    async def breathe() -> None: ...

    collector: Any = _Collector()
    return SecondLook(name="sim", node=node, collector=collector, book=book, breathe=breathe)


def _job(*holdings: Holding) -> Job:
    anchors = {holding: Anchor(30, 5, False) for holding in holdings}
    return Job("job", 1, 0, None, holdings, anchors=anchors, top=30, highest=block_at(30))


async def test_only_what_is_doubted_is_asked_for() -> None:
    node, book = _Node(), _Book(Chunk(0, 9), Chunk(10, 19), Chunk(20, 30))
    assert (
        await _second(node, book).look(_job(HELD, OTHER), {HELD: [Span(22, 25), Span(3, 12)], OTHER: [Span(4, 6)]}) == 0
    )
    assert node.asked == [(22, 25, {USDC}), (10, 12, {USDC}), (3, 9, {USDC, DAI})]


async def test_what_was_left_out_is_taken_in_with_what_was_read_there() -> None:
    told, left_out = _moved(25), (_moved(22), _moved(25, index=1))
    node, book = _Node(*left_out), _Book(Chunk(20, 30, (told,), {25: {OTHER: 4}}, unread=3))
    with capture_logs() as lines:
        assert await _second(node, book).look(_job(HELD), {HELD: [Span(21, 30)]}) == 2
    assert book.kept == {
        20: Chunk(20, 30, (left_out[0], told, left_out[1]), {22: {HELD: 7}, 25: {OTHER: 4, HELD: 7}}, unread=3)
    }
    assert [(line["event"], line["logs"], line["found"]) for line in lines] == [("logs_left_out", 2, "history")]


async def test_a_piece_that_grew_is_divided_from_the_top_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until all are written, the piece that they came from is still there as a whole."""
    monkeypatch.setattr("actors.history.collecting.CHUNK_LOGS", 2)
    left_out = [_moved(number) for number in range(11, 16)]
    node, book = _Node(*left_out), _Book(Chunk(10, 30))
    await _second(node, book).look(_job(HELD), {HELD: [Span(10, 30)]})
    assert book.put_at == [15, 13, 10]
    assert [(chunk.first, chunk.last, len(chunk.moved)) for _, chunk in sorted(book.kept.items())] == [
        (10, 12, 2),
        (13, 14, 2),
        (15, 30, 1),
    ]
    assert all(set(chunk.reads) == {each.block.number for each in chunk.moved} for chunk in book.kept.values())


async def test_what_is_too_much_at_once_is_asked_for_in_halves() -> None:
    node, book = _Node(_moved(12), most=8), _Book(Chunk(0, 31))
    assert await _second(node, book).look(_job(HELD), {HELD: [Span(0, 31)]}) == 1
    assert sorted(node.asked) == [(first, first + 7, {USDC}) for first in (0, 8, 16, 24)]


async def test_a_token_whose_reads_really_differ_is_not_asked_about_for_ever() -> None:
    node = _Node()
    pieces = [Chunk(number, number) for number in range(100)]
    second = _second(node, _Book(*pieces))
    doubts = {HELD: [Span(number, number) for number in range(99, 50, -1)]}
    job, walks = _job(HELD), walked({HELD: Anchor(30, 5, False)}, ())
    assert second.doubted(job, walks, {})
    await second.look(job, doubts)
    assert len(node.asked) == AGREED
    assert not second.doubted(job, walks, {})
    assert second.doubted(replace(job, id="another"), walks, {})


async def test_who_leaves_out_logs_now_and_then_is_asked_about_each_time() -> None:
    left_out = [_moved(number) for number in range(0, 100, 5)]
    node = _Node(*left_out)
    pieces = [Chunk(number, number) for number in range(100)]
    doubts = {HELD: [Span(number, number) for number in range(99, -1, -1)]}
    assert await _second(node, _Book(*pieces)).look(_job(HELD), doubts) == len(left_out)
    assert len(node.asked) == 100


async def test_who_left_out_logs_in_the_upper_part_of_many_spans_is_asked_about_below_them() -> None:
    """There is nothing to be agreed on in their lower parts."""
    people = [Holding(USDC, wallet(index)) for index in range(2 * AGREED)]
    left_out = [_moved(15, each, index) for index, each in enumerate(people)]
    node, book = _Node(*left_out, _moved(2)), _Book(Chunk(0, 4), Chunk(5, 9), Chunk(10, 19))
    doubts = {each: [Span(7, 15), Span(1, 3)] for each in people}
    assert await _second(node, book).look(_job(*people), doubts) == len(left_out) + 1


@pytest.mark.parametrize(("has_others", "doubted"), [(True, True), (False, False)])
async def test_a_rest_that_nothing_contradicts_is_worth_asking_another_endpoint_for(
    has_others: bool, doubted: bool
) -> None:
    node = _Node()
    node.has_others = has_others
    job = Job("job", 1, 4, None, (HELD,), anchors={HELD: Anchor(30, 5, False)})
    walks = walked(job.anchors, ())
    assert bool(_second(node, _Book()).doubted(job, walks, {})) is doubted


@pytest.mark.parametrize(("differing", "said"), [(1, True), (3, False)])
async def test_that_reads_differ_is_said_of_tokens_whose_logs_explain_the_rest(differing: int, said: bool) -> None:
    """Those of others always differ: they rebase, or take a fee."""
    walk = Walk(30, 5)
    for number in range(20, 15, -1):
        walk.mismatches.meet(number, differs=number > 20 - differing)
    with capture_logs() as lines:
        _second(_Node(), _Book()).tell_differing({HELD: walk}, {HELD: walk.doubted(0, 5, is_thorough=False)})
    expected = [("history_differs", USDC, 1, 20, 30)] if said else []
    assert [
        (line["event"], line["token"], line["balances"], line["above"], line["block"]) for line in lines
    ] == expected
