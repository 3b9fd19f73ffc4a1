"""What stands on our tip becomes commits: what each block changed, in order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from actors.chains.blocks.lateness import LateLogs
from actors.chains.blocks.suspects import Suspects
from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from actors.chains.nodes import Node
from actors.chains.reading.unanswered import Unanswered
from indexer.domain.balances import touched
from indexer.domain.chain import NATIVE, BlockHash, Head, Holding, KnownBlock
from indexer.domain.following.headchain import HeadChain, is_linked
from indexer.domain.following.views import BlockView, Readings, unread
from indexer.metrics import ChainMetrics

ROOTS: Final = 64
"""Headers in one question; nearly all reorgs are shallower."""


class BlockIndexer:
    """Looks at blocks, reads what their logs name, and closes them; with an interval, natives now and then only."""

    def __init__(
        self,
        *,
        chain: str,
        followed: Followed,
        node: Node,
        ledger: Ledger,
        book: Bookkeeper,
        unanswered: Unanswered,
        native_interval: int,
        metrics: ChainMetrics,
    ) -> None:
        self._followed = followed
        self._node = node
        self._ledger = ledger
        self._book = book
        self._unanswered = unanswered
        self._native_interval = native_interval
        self._late = LateLogs(node=node, followed=followed, ledger=ledger)
        self._suspects = Suspects(chain=chain, counted=metrics.left_out)
        self._metrics = metrics
        self._clock = time.perf_counter  # the loop's own clock stands still within a turn

    async def index_head(self, head: Head) -> None:
        """The block on top of our tip, or the first of all."""
        if self._followed.tip is None:
            depth = self._followed.known.depth
            heads = await standing_on(self._node, head, depth)
            self._followed.known = HeadChain(depth, heads, head.number - 1)
            await self._ledger.keep(self._followed.known)
            return
        started = self._clock()
        views = await self.look_at(self._node, (head,))
        self._metrics.stage("logs", self._clock() - started)
        await self.index(views)

    async def index(self, views: Sequence[BlockView]) -> None:
        """Commit what each of these blocks changed, in order."""
        views = await self._late.awaited(views)
        looked = self._clock()
        surprises = await self._read_surprises(views)
        self._metrics.stage("reads", self._clock() - looked)
        async with self._ledger.writer.together():
            for view in views:
                await self.close(view, surprises.get(view.head.hash, Readings()))
        await self._ledger.follow(self._followed.known)

    async def look_at(self, node: Node, heads: Sequence[Head]) -> tuple[BlockView, ...]:
        """With an interval, native balances are read at the last of many blocks only, and only when they are due."""
        watch = self._followed.watch
        if self._native_interval == 1:
            return await node.look(heads, watch)
        due = self._book.are_natives_due(heads[-1])
        earlier = await node.look(heads[:-1], watch, natives=False) if len(heads) > 1 else ()
        return (*earlier, *await node.look(heads[-1:], watch, natives=due))

    def reads_natives_at(self, head: Head) -> bool:
        return self._native_interval == 1 or self._book.are_natives_due(head)

    async def close(self, view: BlockView, more: Readings) -> None:
        head = view.head
        readings = view.readings.and_more(more)
        facts = await self._book.facts(readings.values, head, view.transfers)
        self._suspects.judge(view, facts)
        if unread := self._ledger.unread.held:
            told = {holding: value for holding, value in readings.values.items() if holding in unread}
            facts = (*facts, *self._book.confirmed(told, head.ref))
        if view.transfers:
            self._ledger.note(view.transfers, {fact.holding for fact in facts})
        if facts:
            await self._ledger.commit(facts, head)
        self._unanswered.note(readings, head.number)
        self._followed.known = self._followed.known.extend(head)
        if any(holding.token == NATIVE for holding in view.readings.values):
            self._book.natives_read(head.number)
        self._metrics.block_done()

    async def _read_surprises(self, views: Sequence[BlockView]) -> dict[BlockHash, Readings]:
        """The holdings that the logs name and nobody hinted at."""
        wanted: dict[KnownBlock, frozenset[Holding]] = {
            view.head: surprising
            for view in views
            if (surprising := unread(touched(view.transfers, self._followed.watch), view.readings))
        }
        return await self._node.read(wanted) if wanted else {}


async def standing_on(node: Node, head: Head, depth: int, lowest: int = 0) -> tuple[Head, ...]:
    """A block that is followed from, on those below it: a reorg soon after may leave none that were handled."""
    first = max(lowest, head.number - min(ROOTS, depth - 1))
    below = await node.headers(first, head.number)
    is_its = bool(below) and below[-1].hash == head.hash and is_linked(None, below)
    return below if is_its else (head,)
