"""After a reorg: where our chain and the node's part, and what holds there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding, KnownBlock
from indexer.domain.following.headchain import HeadChain, is_linked
from indexer.domain.following.views import Readings
from indexer.domain.resuming.reorgs import affected, common_ancestor, reverts
from indexer.domain.telling.facts import BalanceReverted
from indexer.errors import BadAnswer, StateMissing

T = TypeVar("T")
U = TypeVar("U")

FIRST_SPAN = 8
"""Most reorgs are shallow: the first look back is one small request, each further one four times as wide."""

MOST_LINKS = 2_048
"""Headers that are asked for at once, to prove that one block lies below another."""


class Node(Protocol):
    """Tells which blocks are canonical, and what held at them."""

    async def headers(self, first: int, last: int) -> tuple[Head, ...]: ...

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]: ...


@dataclass(frozen=True, slots=True)
class Agreed:
    """The node has our newest block that it can have: it is behind us at most, and nothing is orphaned."""


@dataclass(frozen=True, slots=True)
class Parted:
    """Everything of ours above `ancestor` is orphaned."""

    ancestor: Head


@dataclass(frozen=True, slots=True)
class Strangers:
    """None of the blocks we remember is canonical."""


@dataclass(frozen=True, slots=True)
class TooLow:
    """The node's newest block is below all that we remember: it lags, and contradicts nothing."""


async def compare(node: Node, known: HeadChain, newest: Head) -> Agreed | Parted | Strangers | TooLow:
    """Ask the node for its chain by number, from the top of what both have, until a block is ours."""
    if not known.heads:
        return Agreed()
    top = min(known.heads[-1].number, newest.number)
    oldest, last, span = known.heads[0].number, top, FIRST_SPAN
    if top < oldest:
        return TooLow()
    while last >= oldest:
        first = max(oldest, last - span + 1)
        ancestor = common_ancestor(known, await node.headers(first, last))
        if ancestor is not None:
            highest = next(head for head in reversed(known.heads) if head.number <= top)
            return Agreed() if ancestor == highest else Parted(ancestor)
        last, span = first - 1, span * 4
    return Strangers()


class History(Protocol):
    """The blocks of which there are records, far beyond what is remembered."""

    async def stored_block(self, number: int) -> BlockRef | None: ...

    async def heard_block(self, number: int) -> BlockRef | None: ...


async def canonical_floor(node: Node, history: History, below: int, newest: Head) -> int:
    """The highest block number below `below` up to which every stored record is still canonical.

    What was heard live is of one branch. History may have been filled in between from the other one, to which we had
    not come yet: it is looked at only below the lowest record that is orphaned.
    """
    heard = await _floor(node, history.heard_block, below, newest)
    return await _floor(node, history.stored_block, heard + 1, newest)


async def _floor(node: Node, recorded: Callable[[int], Awaitable[BlockRef | None]], below: int, newest: Head) -> int:
    """The same of one kind of records.

    Gallops down, then halves: what lies on top of a canonical block may be orphaned, what lies under it cannot. The
    highest canonical one is then followed up to `newest`, link by link: one question may be answered from a fork.
    """
    orphaned, step = below, 1
    while True:
        sure = await recorded(orphaned - step)
        if sure is None or await is_canonical(node, sure):
            floor = -1 if sure is None else sure.number
            break
        orphaned, step = sure.number, step * 2
    while orphaned - floor > 1:
        middle = await recorded((orphaned + floor) // 2)
        if middle is None or middle.number <= floor:
            floor = (orphaned + floor) // 2
        elif await is_canonical(node, middle):
            sure, floor = middle, max(middle.number, (orphaned + floor) // 2)
        else:
            orphaned = middle.number
    if not await leads_to(node, sure or newest.ref, newest):
        raise BadAnswer("the chain was reorganised again while the last canonical record was looked for")
    return floor


async def leads_to(node: Node, block: BlockRef, newest: Head) -> bool:
    """Whether one lies below the other; so far down that links are too many, whether both are canonical."""
    if newest.number - block.number > MOST_LINKS:
        return await is_canonical(node, block) and await is_canonical(node, newest.ref)
    chain = await node.headers(block.number, newest.number)
    return bool(chain) and (chain[0].hash, chain[-1].hash) == (block.hash, newest.hash) and is_linked(None, chain)


async def is_canonical(node: Node, block: BlockRef) -> bool:
    return any(head.hash == block.hash for head in await node.headers(block.number, block.number))


async def retractions(
    node: Node, orphaned: list[BalanceUpdated], balances: Mapping[Holding, int], ancestor: Head
) -> tuple[BalanceReverted, ...]:
    """One per balance that had records in orphaned blocks, each with what the contract says at the ancestor."""
    if not orphaned:
        return ()
    holdings = affected(orphaned)
    readings = (await node.read({ancestor: holdings})).get(ancestor.hash, Readings())
    missing = holdings - readings.values.keys()
    if missing:
        raise StateMissing(f"{len(missing)} balances cannot be read at block {ancestor.number}")
    return reverts(orphaned, balances, readings.values, ancestor.ref)


async def together(answer: Coroutine[Any, Any, T], check: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Both side by side, and both to their end: what is committed beside a question must not be cut short."""
    answered, checked = await asyncio.gather(answer, check, return_exceptions=True)
    for outcome in (checked, answered):
        if isinstance(outcome, BaseException):
            raise outcome
    return cast("tuple[T, U]", (answered, checked))
