"""The commonest reorg: one block in the place of our newest. All that it takes is asked for in one round trip."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from actors.chains.reorgs.parting import together
from indexer.domain.balances import BalanceUpdated, Watch, touched
from indexer.domain.chain import BlockHash, Head, Holding, KnownBlock
from indexer.domain.following.views import BlockView, Parting, Readings, Replacement, unread
from indexer.domain.resuming.reorgs import affected, reverts
from indexer.domain.telling.facts import BalanceReverted
from indexer.errors import BadAnswer, BlockUnknown, StateMissing


class Node(Protocol):
    """Tells what is in the place of a block, and what held there."""

    async def replacement(
        self, ancestor: Head, head: Head, watch: Watch, moved: Collection[Holding], *, natives: bool = True
    ) -> Replacement: ...

    async def parting(self, ancestor: Head, head: Head, moved: Collection[Holding]) -> Parting: ...

    async def is_disputed(self, tip: Head) -> bool: ...

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """`head` sits on our `ancestor`, where our `tip` did, which had made these updates."""

    tip: Head
    ancestor: Head
    head: Head
    orphaned: Sequence[BalanceUpdated]


@dataclass(frozen=True, slots=True)
class Swap:
    """What our newest block had changed is taken back; `view` is of the one in its place, with all that it moved."""

    reverted: tuple[BalanceReverted, ...]
    view: BlockView


async def swap(
    place: Place, *, node: Node, watch: Watch, natives: bool, balances: Mapping[Holding, int]
) -> Swap | None:
    """Nothing where it is not as simple as that, or where anybody is of another opinion.

    Who announced the block, who shows it, and who is asked once more have to agree. What the orphaned block moved is
    read in the new one as well: most transactions are in both.
    """
    moved = affected(place.orphaned)
    try:
        found, (parting, is_disputed) = await together(
            node.replacement(place.ancestor, place.head, watch, moved, natives=natives),
            together(node.parting(place.ancestor, place.head, moved), node.is_disputed(place.tip)),
        )
        if is_disputed or not found.canonical == parting.canonical == (place.ancestor, place.head):
            return None
        if moved - parting.before.values.keys():
            return None
        surprising = unread(touched(found.view.transfers, watch), found.view.readings)
        more = (
            (await node.read({place.head: surprising})).get(place.head.hash, Readings()) if surprising else Readings()
        )
    except (BadAnswer, BlockUnknown, StateMissing):
        return None
    view = replace(found.view, readings=found.view.readings.and_more(more))
    return Swap(reverts(place.orphaned, balances, parting.before.values, place.ancestor.ref), view)
