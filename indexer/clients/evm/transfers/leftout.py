"""Logs that an endpoint left out of an answer about a block that it has, found out by the block's bloom, or by hints.

It happens where a block is announced before its logs are indexed. An empty list is a success, and nothing else in the
answer contradicts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from indexer.clients.evm.asking.calls import joined
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.reading.readings import Found, Natives
from indexer.clients.evm.transfers.blooms import Sought
from indexer.clients.evm.transfers.hints import Hints, unpacked
from indexer.clients.evm.transfers.logs import Filters, transfer_of
from indexer.clients.evm.transfers.looking import Looked, looking_at
from indexer.domain.balances import Watch
from indexer.domain.chain import Head, Holding, Transfer
from indexer.errors import BadAnswer, StateMissing

_DOUBT_SECONDS: Final = 10.0
_SUSPECTS: Final = 16
"""So many balances are read of those whom only the bloom of a block names: it may be full for other reasons."""
_NOBODY: Final = Natives(())


class Asked:
    """What is watched, as it is asked for, and how it shows in a bloom."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.filters = Filters(watch)
        self.sought = Sought(watch)


@dataclass(frozen=True, slots=True)
class Block:
    """What was found in a block; `suspects` are balances that were read, and of which its bloom misses a log."""

    head: Head
    transfers: tuple[Transfer, ...]
    found: Found
    suspects: frozenset[Holding] = frozenset()


async def completed(
    endpoints: Endpoints,
    blocks: Sequence[Block],
    asked: Asked,
    hints: Hints | None = None,
    hedge_seconds: float | None = None,
) -> Sequence[Block]:
    """Each block; where its bloom or a hint names somebody else, asked once more, elsewhere if possible.

    A bloom also names those whom other events name: then the same is answered twice, and believed. With `hints`, what
    the bloom names is read in the same request, so that it shows whether anything moved; and what was hinted at counts
    though nobody tells it, as it is of this very block.
    """
    doubts = [_Doubt(place, block, asked, hints) for place, block in enumerate(blocks)]
    doubts = [doubt for doubt in doubts if doubt.suspects or doubt.missing(doubt.block.transfers)]
    if not doubts:
        return blocks
    first = endpoints.name
    try:
        again = await _asked_again(endpoints, doubts, asked, first, hedge_seconds)
    except StateMissing:
        # Logs are kept for longer than states.
        for doubt in doubts:
            doubt.reads = frozenset()
        again = await _asked_again(endpoints, doubts, asked, first, hedge_seconds)
    whole = list(blocks)
    by_asking = by_hints = 0
    for doubt, answer in zip(doubts, again, strict=True):
        told = doubt.with_answer(answer)
        block = whole[doubt.place] = doubt.with_hints(told)
        by_asking += len(told.transfers) - len(doubt.block.transfers)
        by_hints += len(block.transfers) - len(told.transfers)
    if by_asking:
        endpoints.health.left_out("asked_again", by_asking)
        if endpoints.name != first:
            endpoints.set_aside(first, BadAnswer("leaves out logs that another endpoint has"), _DOUBT_SECONDS)
    if by_hints:
        endpoints.health.left_out("hint", by_hints)
        endpoints.health.tell_left_out(endpoints.name, doubts[-1].block.head.number)
    return whole


async def _asked_again(
    endpoints: Endpoints, doubts: Sequence[_Doubt], asked: Asked, first: str, hedge_seconds: float | None
) -> Sequence[Looked]:
    return await endpoints.ask(
        lambda limits: joined(
            [looking_at(doubt.block.head, asked.filters, _NOBODY, doubt.reads, limits) for doubt in doubts]
        ),
        hedge_seconds=hedge_seconds,
        rather_not=first,
    )


class _Doubt:
    """Whom a block seems to name beside what was found in it; `reads` are the balances that may tell."""

    def __init__(self, place: int, block: Block, asked: Asked, hints: Hints | None) -> None:
        self.place = place
        self.block = block
        self.suspects = asked.sought.suspects(block.head.bloom, block.transfers)
        unread = self.suspects - block.found.values.keys()
        self.reads = unread if hints is not None and len(unread) <= _SUSPECTS else frozenset[Holding]()
        self._asked = asked
        self._hinted = {} if hints is None else hints.logs_of(block.head.hash)

    def with_answer(self, answer: Looked) -> Block:
        transfers, more = answer
        found = self.block.found
        found.values.update(more.values)
        found.unreadable.update(more.unreadable)
        found.doubtful += more.doubtful
        seen = self.suspects & found.values.keys()
        return Block(self.block.head, _joined(self.block.transfers, transfers), found, seen)

    def with_hints(self, block: Block) -> Block:
        missing = self.missing(block.transfers)
        return replace(block, transfers=_joined(block.transfers, missing)) if missing else block

    def missing(self, transfers: Sequence[Transfer]) -> tuple[Transfer, ...]:
        """The logs that were hinted at and are not among these."""
        if not self._hinted:
            return ()
        found: list[Transfer] = []
        for index in self._hinted.keys() - {transfer.log_index for transfer in transfers}:
            with suppress(BadAnswer):  # a hint that says nothing of use
                log = unpacked(self.block.head.hash, self._hinted[index])
                transfer = transfer_of(log, self.block.head.ref, self._asked.filters)
                found += [] if transfer is None else [transfer]
        return tuple(found)


def _joined(some: tuple[Transfer, ...], others: tuple[Transfer, ...]) -> tuple[Transfer, ...]:
    """Both are of this very block, so each log is there once whoever told it."""
    logs = {transfer.log_index: transfer for transfer in (*some, *others)}
    return tuple(logs[index] for index in sorted(logs))
