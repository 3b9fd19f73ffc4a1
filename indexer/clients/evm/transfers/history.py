"""The watched transfers of blocks that were before us: logs of many blocks, by their numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from indexer.clients.evm.asking.calls import Plan, RangeTimedOut, TakenApart
from indexer.clients.evm.endpoints.contrast import Ask, Pair, refused_for_good
from indexer.clients.evm.endpoints.endpoints import NEVER, Endpoints
from indexer.clients.evm.judging.opinions import canonical
from indexer.clients.evm.transfers.leftout import Asked
from indexer.clients.evm.transfers.logs import Filters
from indexer.clients.evm.transfers.ranges import headers_of, logs_between, moved, moved_in, numbers_without_time, pieces
from indexer.clients.evm.transfers.tellers import Tellers
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockHash, BlockRef, Head
from indexer.domain.history.backfill import Moved
from indexer.errors import BadAnswer, NodeUnreachable, ResponseTooLarge, StateMissing, Throttled

T = TypeVar("T")

_TWO_BRANCHES: Final = "the chain was reorganised while its logs were read"
_TRIES: Final = 3
_TURNS: Final = 2
_DOUBT_SECONDS: Final = 10.0
_COMPARED: Final = 8
"""So many blocks of which logs name different hashes are looked up; one is enough to tell who is wrong."""

_Place = tuple[str, int]
"""A log's block and its number in there."""


class _Contradicted(BadAnswer):
    """The logs that this endpoint told cannot be right."""

    def __init__(self, message: str, by: str) -> None:
        super().__init__(message)
        self.by = by


class _Answer(NamedTuple):
    logs: list[Any]
    by: str


class _Told(NamedTuple):
    moved: tuple[Moved, ...]
    by: str | None
    """Nobody where several told a part each."""


class History:
    """Asks for a range at a time; where even one block is too much, for a part of those who are watched."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._tellers = Tellers()

    async def moved(self, first: int, last: int, watch: Watch, beside: BlockRef | None) -> tuple[Moved, ...]:
        """In order, as an endpoint tells them that has the block `beside`; `ResponseTooLarge` asks for fewer blocks."""
        told = await self._told(first, last, watch, beside, None)
        self._tellers.note(first, last, told.by)
        return told.moved

    async def left_out(
        self, first: int, last: int, watch: Watch, beside: BlockRef | None, told: Collection[Moved]
    ) -> tuple[Moved, ...]:
        """What is not among the watched transfers that were `told` of these blocks, asked elsewhere if possible.

        Whoever left out what the other one has is set aside.
        """
        before = self._tellers.of(first, last)
        again = await self._told(first, last, watch, beside, before or self._endpoints.name)
        known, found = {_place(each): each for each in told}, {_place(each): each for each in again.moved}
        more = tuple(each for place, each in found.items() if place not in known)
        if more:
            heads = await self._headers_at({each.block.number for each in more}, beside)
            if any(heads[each.block.number].hash != each.block.hash for each in more):
                raise BadAnswer(f"logs of blocks {first} to {last} are of another branch than their headers")
            self._endpoints.health.left_out("asked_again", len(more))
        if before != again.by:
            self._left_out(before, more)
            self._left_out(again.by, known.keys() - found.keys())
        return more

    def _left_out(self, name: str | None, missing: Collection[object]) -> None:
        if name is not None and missing:
            error = BadAnswer("leaves out logs that another endpoint has")
            self._endpoints.set_aside(name, error, _DOUBT_SECONDS)

    # --- believing ---------------------------------------------------------------------------------------------------

    async def _told(
        self, first: int, last: int, watch: Watch, beside: BlockRef | None, rather_not: str | None
    ) -> _Told:
        """By another endpoint where one contradicts itself, or the headers."""
        left = _TRIES
        while True:
            left -= 1
            try:
                return await self._told_once(first, last, watch, beside, rather_not)
            except _Contradicted as error:
                self._endpoints.set_aside(error.by, error, _DOUBT_SECONDS)
                rather_not = error.by
                if not left:
                    raise

    async def _told_once(
        self, first: int, last: int, watch: Watch, beside: BlockRef | None, rather_not: str | None
    ) -> _Told:
        filters = Filters(watch)
        try:
            answers = await self._answers(first, last, filters, beside, rather_not)
        except TakenApart:
            heads = await canonical(self._endpoints, first, last, NEVER, beside)
            return _Told(await moved_in(self._endpoints, heads, Asked(watch)), self._endpoints.name)
        untimed = set[int]()
        for answer in answers:
            untimed |= _blaming(answer, partial(numbers_without_time, answer.logs))
        headers = await self._headers_at(untimed, beside)
        found: dict[tuple[int, int], Moved] = {}
        told: list[tuple[str, Collection[BlockRef]]] = []
        for answer in answers:
            blocks: dict[str, BlockRef] = {}
            for piece in pieces(answer.logs):
                read = partial(moved, piece, first, last, filters, headers, blocks)
                for each in _blaming(answer, read):
                    found[each.block.number, each.transfer.log_index] = each
                await asyncio.sleep(0)
            if len({block.number for block in blocks.values()}) < len(blocks):
                raise _Contradicted("its logs name two hashes of one block", answer.by)
            told.append((answer.by, blocks.values()))
        await self._compared(told, beside)
        by = {answer.by for answer in answers}
        return _Told(tuple(found[place] for place in sorted(found)), by.pop() if len(by) == 1 else None)

    async def _compared(self, told: Sequence[tuple[str, Collection[BlockRef]]], beside: BlockRef | None) -> None:
        """With the headers of some of their blocks: those of which two answers differ, and two of each answer.

        Not of all: where there is state, balances are read at each of them by its hash, and else it would be half of
        the work.
        """
        headers = await self._headers_at(_to_compare([blocks for _, blocks in told]), beside)
        for by, blocks in told:
            for block in blocks:
                head = headers.get(block.number)
                if head is not None and head.hash != block.hash:
                    raise _Contradicted(f"its logs of block {block.number} name another hash than the header", by)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _answers(
        self, first: int, last: int, filters: Filters, beside: BlockRef | None, rather_not: str | None
    ) -> list[_Answer]:
        """Each filter travels alone: a refusal of many at once would be taken for a limit of batches."""
        most = await self._endpoints.ask(
            lambda limits: Plan((), lambda _: limits.filter), hedge_seconds=NEVER, rather_not=rather_not
        )
        while True:
            answers: list[_Answer] = []
            ends: set[BlockHash] = set()
            try:
                for inside in filters.encoded(most):
                    logs, end = await self._asked(first, last, inside, beside, rather_not)
                    answers.append(_Answer(logs, self._endpoints.name))
                    ends.add(end)
            except ResponseTooLarge:
                # Nothing is less than one block but a part of those who are watched.
                if first < last or most == 1:
                    raise
                most = max(1, min(most, filters.widest) // 2)
            else:
                if len(ends) > 1:
                    raise BadAnswer(_TWO_BRANCHES)
                return answers

    async def _asked(
        self, first: int, last: int, inside: bytes, beside: BlockRef | None, rather_not: str | None
    ) -> tuple[list[Any], BlockHash]:
        """A range that is refused for good is too large, in whatever words: the same of one block is answered."""
        question = partial(logs_between, first, last, inside, beside)
        try:
            return await self._endpoints.ask(question, hedge_seconds=NEVER, rather_not=rather_not)
        except RangeTimedOut as error:
            one = partial(logs_between, last, last, inside, beside)
            await self._endpoints.ask(one, hedge_seconds=NEVER, rather_not=rather_not)
            raise ResponseTooLarge(str(error)) from error
        except StateMissing as error:
            # Logs may expire; who is lost for a moment may keep them.
            unasked = tuple(each.name for each in self._endpoints.hoped_for)
            raise StateMissing(str(error), unasked) from error
        except (BadAnswer, NodeUnreachable, TakenApart, Throttled) as error:
            # At a pace that was lowered for such refusals, two calls are not put at once either.
            if first == last or all(each.limits.batch == 1 for each in self._endpoints.every):
                raise
            pair = Pair(question, partial(logs_between, last, last, inside, beside))

            async def the_pair(_: Ask) -> Pair:
                return pair

            refusal = await refused_for_good(self._endpoints, the_pair, _TURNS)
            if refusal is None:
                raise
            raise ResponseTooLarge(str(refusal.words)) from error

    async def _headers_at(self, numbers: Collection[int], beside: BlockRef | None) -> Mapping[int, Head]:
        if not numbers:
            return {}
        question = headers_of(sorted(numbers), beside)
        return await self._endpoints.ask(lambda _: question, hedge_seconds=NEVER)


def _place(moved: Moved) -> _Place:
    return moved.block.hash, moved.transfer.log_index


def _to_compare(told: Iterable[Collection[BlockRef]]) -> set[int]:
    names: dict[int, BlockHash] = {}
    differing, ends = list[int](), set[int]()
    for blocks in told:
        differing += [block.number for block in blocks if names.setdefault(block.number, block.hash) != block.hash]
        numbers = [block.number for block in blocks]
        ends |= {min(numbers), max(numbers)} if numbers else set()
    return {*differing[:_COMPARED], *ends}


def _blaming(answer: _Answer, read: Callable[[], T]) -> T:
    """What cannot be right in an answer says who is wrong."""
    try:
        return read()
    except BadAnswer as error:
        raise _Contradicted(str(error), answer.by) from error
