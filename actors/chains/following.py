"""Follows one chain through a node: from a head to commits. No inbox, no timers, no listening."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

import structlog

from actors.chains.ahead import Ahead, spans_of
from actors.chains.asking import Asking
from actors.chains.bookkeeping import Bookkeeper
from actors.chains.doubts import Doubts
from actors.chains.ledger import Ledger
from actors.chains.nodes import Node, Tokens
from actors.chains.repair import (
    Agreed,
    Parted,
    Strangers,
    TooLow,
    canonical_floor,
    compare,
    leads_to,
    retractions,
    together,
)
from actors.chains.swapping import Place, swap
from indexer.domain.balances import Watch, touched
from indexer.domain.chain import NATIVE, BlockHash, BlockRef, ChainIdentity, Head, Holding, KnownBlock
from indexer.domain.facts import BalanceReverted, Confirmed, StreamResync
from indexer.domain.headchain import Extended, HeadChain, Known, Missed, Reorged, advance, is_linked
from indexer.domain.reorgs import replaced
from indexer.domain.views import BlockView, Readings, unread
from indexer.errors import BadAnswer, Impossible, StateMissing, WrongChain
from indexer.metrics import ChainMetrics

log = structlog.get_logger(__name__)

PARTS_A_TURN = 8
"""Of what was missed; each is written while the next is asked for. Then other messages get their turn."""


class Follower:
    """The blocks that were handled (`known`), what is watched, and what is still to be read (`unread`)."""

    def __init__(
        self,
        *,
        name: str,
        chain_id: int,
        node: Node,
        ledger: Ledger,
        tokens: Tokens,
        claim: Callable[[ChainIdentity], Awaitable[None]],
        watch: Watch,
        window: int,
        native_interval: int,
        metrics: ChainMetrics,
        was_read: Callable[[frozenset[Holding]], None] = lambda _holdings: None,
        passed_over: Callable[[int], None] = lambda _seq: None,
    ) -> None:
        self.known = HeadChain(window)
        self.watch = watch
        self.unread = watch.holdings()
        self._name = name
        self._chain_id = chain_id
        self.asking = Asking(node)
        """Everything that is asked in a handler's turn goes through it."""
        self._node = self.asking
        self._ledger = ledger
        self._tokens = tokens
        self._claim = claim
        self._native_interval = native_interval
        self._metrics = metrics
        self._was_read = was_read
        self._passed_over = passed_over
        self._book = Bookkeeper(
            name=name,
            chain_id=chain_id,
            node=self._node,
            ledger=ledger,
            known=lambda: self.known,
            interval=native_interval,
            unplaced=metrics.unplaced,
        )
        self._doubts = Doubts(chain=name, node=self._node, doubted=metrics.doubted)
        self._reorgs: list[dict[str, int]] = []
        self._clock = time.perf_counter  # the loop's own clock stands still within a turn

    @property
    def tip(self) -> Head | None:
        return self.known.tip

    async def load(self) -> None:
        """Go on where the log ends; everything watched is read again once we have caught up."""
        self.known = await self._ledger.load(self.watch)
        self._book.load()

    async def recognize(self) -> None:
        """Ask the node who it is: before anything else, and where nothing is as we know it, which is no reorg then."""
        identity = await self._node.identity()
        if identity.chain_id != self._chain_id:
            raise WrongChain(
                f"chains.{self._name}: the node at {self._node.endpoint} follows chain {identity.chain_id}, not"
                f" {self._chain_id}; correct chain_id or rpc_urls"
            )
        await self._claim(identity)

    async def describe(self) -> None:
        self._book.infos = await self._tokens.describe(self._chain_id, self.watch.tokens)

    async def rewatch(self, watch: Watch) -> None:
        """What is new is due to be read, even where an older balance of it is stored."""
        added = watch.holdings() - self.watch.holdings()
        self._ledger.rewatch(self.watch, watch)
        self.watch = watch
        self.unread = (self.unread | added) & watch.holdings()
        self._book.rewatch(watch)
        # Before another block is handled: what happens to those that are not watched in it is not known.
        await self._ledger.keep(self.known)
        await self.describe()

    # --- deciding ----------------------------------------------------------------------------------------------------

    async def follow(self, head: Head) -> bool:
        """Handle this head, or the first part of what was missed up to it; whether there is more."""
        match advance(self.known, head):
            case Known():
                return False
            case Extended():
                await self._index_head(head)
                self._doubts.none()
                return False
            case Missed(first, last):
                more = await self._catch_up(first, last)
                return await self._repair() if more is None else more
            case Reorged():
                return False if await self._swap(head) else await self._repair()

    async def _catch_up(self, first: int, last: int, parts: int = PARTS_A_TURN) -> bool | None:
        """Index the first parts of what was missed; nothing when it does not sit on our tip."""
        spans = tuple(islice(spans_of(first, last), parts))
        ahead = Ahead(self.asking.node, self.watch, self._look_at, spans)
        try:
            ahead.ask()
            for span in spans:
                try:
                    asked_at = self._clock()
                    part = await self.asking.answer(ahead.asked())
                    if not is_linked(self.tip, part.heads[:1]):
                        return None if span is spans[0] else True
                    if part.missing is not None:
                        raise part.missing
                    self._metrics.stage("logs", self._clock() - asked_at)
                    ahead.ask()
                    await asyncio.sleep(0)  # they are on their way before we are busy with this one
                    self._doubts.none()
                    self._metrics.gap(len(part.heads))
                    await self._index(part.views)
                except StateMissing as error:
                    await ahead.drop()
                    why = f"blocks {span.first} to {span.last} cannot be read any more: {error}"
                    await self._resync(why, await self._node.newest())
                    return span.last < last
        finally:
            await ahead.drop()
        return spans[-1].last < last

    async def _swap(self, head: Head) -> bool:
        """Put `head` in the place of our newest block; whether that was all that there is to do."""
        tip, ancestor = self.tip, replaced(self.known, head)
        if tip is None or ancestor is None:
            return False
        swapped = await swap(
            Place(tip, ancestor, head, self._ledger.above(ancestor.number)),
            node=self._node,
            watch=self.watch,
            natives=self._native_interval == 1 or self._book.are_natives_due(head),
            balances=self._ledger.balances,
        )
        if swapped is None:
            return False
        self._doubts.none()
        async with self._ledger.writer.together():
            await self._cut(ancestor, swapped.reverted)
            await self._close(swapped.view, swapped.more)
        self._say_reorged()
        await self._ledger.follow(self.known)
        return True

    async def _repair(self) -> bool:
        """Roll back to the common ancestor; the new branch is then merely missed, and written with what is reverted."""
        async with self._ledger.writer.together():
            more = await self._repaired()
        self._say_reorged()
        return more

    async def _repaired(self) -> bool:
        newest = await self._node.newest()
        self._doubts.weigh(self.known, newest)
        match await compare(self._node, self.known, newest):
            case Parted(ancestor):
                await self._roll_back(ancestor, newest)
            case TooLow():
                await self.recognize()
                return False
            case Strangers():
                await self.recognize()
                await self._doubts.confirm(self.known, None, newest)
                await self._start_over(newest)
            case Agreed():
                pass
        self._doubts.none()
        tip = self.tip
        if tip is None or newest.number <= tip.number:
            return False
        more = await self._catch_up(tip.number + 1, newest.number, parts=1)  # what is held is written at the end
        if more is None:
            raise BadAnswer("the node contradicts itself about its newest blocks")
        return more

    async def _start_over(self, newest: Head) -> None:
        """Everything we remember is orphaned, and perhaps more."""
        if self._ledger.balances:
            await self._resync("a reorg deeper than the window", newest, self.known.heads[0].number)
        else:
            self.known = HeadChain(self.known.depth, (newest,))

    async def _roll_back(self, ancestor: Head, newest: Head) -> None:
        orphaned = self._ledger.above(ancestor.number)
        try:
            # Side by side: what is asked anew costs no time.
            facts, _ = await together(
                retractions(self._node, orphaned, self._ledger.balances, ancestor),
                self._doubts.confirm(self.known, ancestor, newest),
            )
        except StateMissing as error:
            await self._doubts.confirm(self.known, ancestor, newest)
            await self._resync(f"a reorg to a block that cannot be read any more: {error}", newest, ancestor.number + 1)
            return
        await self._cut(ancestor, facts)

    async def _cut(self, ancestor: Head, facts: Sequence[BalanceReverted]) -> None:
        depth = self.known.heads[-1].number - ancestor.number
        known = self.known.cut(ancestor.hash)
        await self._ledger.roll_back(known, facts)
        self.unread |= self._ledger.returned & self.watch.holdings()
        self.known = known
        self._book.roll_back(ancestor.number)
        self._metrics.reorged(depth)
        self._reorgs.append({"ancestor": ancestor.number, "depth": depth, "reverted": len(facts)})

    def _say_reorged(self) -> None:
        """Once it is written: a line of the log takes 0.15 ms, in which clients would wait."""
        for reorg in self._reorgs:
            log.info("chain_reorged", chain=self._name, **reorg)
        self._reorgs.clear()

    async def _resync(self, reason: str, newest: Head, orphaned: int | None = None) -> None:
        """The blocks in between cannot be followed one by one: read everything at the newest, and say so.

        After a reorg that is the block which showed it: asked again, another node might be far behind. With
        `orphaned`, a block number from which on records are of another branch: history is cut where it is still
        canonical. What did not change is confirmed at the newest block: it may have moved and come back meanwhile.
        """
        if orphaned is None and self.tip is not None and newest.number <= self.tip.number:
            # Whoever answered is behind, and what is recorded there says more than a read.
            raise BadAnswer(f"the newest block is {newest.number}, and {reason}")
        readings = (await self._node.read({newest: self.watch.holdings()})).get(newest.hash, Readings())
        self._book.note_unreadable(readings.unreadable)
        above, passed = None, None
        if orphaned is not None:
            above = await canonical_floor(self._node, await self._ledger.recorded(), orphaned, newest)
        elif self.tip is not None and not await leads_to(self._node, self.tip.ref, newest):
            # The blocks that could not be read may have been orphaned, and our own newest ones with them.
            raise BadAnswer("the chain was reorganised while it could not be read")
        elif self.tip is not None:
            passed = self._book.passed(self.tip.ref, readings.values)
        self._ledger.trails.lose(readings.values)  # whatever moved in the blocks in between
        facts = self._book.changed(readings.values, newest.ref, (), "resync")
        self._metrics.resynced()
        log.warning("chain_resync", chain=self._name, block=newest.number, reason=reason)
        differing = {fact.holding for fact in facts}
        confirmed = tuple(
            Confirmed(holding, value, self._book.info(holding))
            for holding, value in sorted(readings.values.items())
            if holding not in differing
        )
        if above is not None:
            self._ledger.settling.roll_back(above)
        resync = StreamResync(self._chain_id, reason, newest.ref, above, confirmed, passed)
        if passed is not None:
            self._passed_over(self._ledger.seq + 1)  # before it is told: nobody knows whether we have a turn after it
        await self._ledger.commit((resync, *facts), newest)
        self.known = HeadChain(self.known.depth, (newest,))
        self._book.natives_read(newest.number)

    # --- acting ------------------------------------------------------------------------------------------------------

    async def _index_head(self, head: Head) -> None:
        """The block on top of our tip, or the first of all."""
        if self.tip is None:
            self.known = self.known.extend(head)
            return
        started = self._clock()
        views = await self._look_at(self._node, (head,))
        self._metrics.stage("logs", self._clock() - started)
        await self._index(views)

    async def _index(self, views: Sequence[BlockView]) -> None:
        """Commit what each of these blocks changed, in order."""
        looked = self._clock()
        surprises = await self._read_surprises(views)
        self._metrics.stage("reads", self._clock() - looked)
        async with self._ledger.writer.together():
            for view in views:
                await self._close(view, surprises.get(view.head.hash, Readings()))
        await self._ledger.follow(self.known)

    async def _look_at(self, node: Node, heads: Sequence[Head]) -> tuple[BlockView, ...]:
        """With an interval, native balances are read at the last of many blocks only, and only when they are due."""
        if self._native_interval == 1:
            return await node.look(heads, self.watch)
        due = self._book.are_natives_due(heads[-1])
        earlier = await node.look(heads[:-1], self.watch, natives=False) if len(heads) > 1 else ()
        return (*earlier, *await node.look(heads[-1:], self.watch, natives=due))

    async def _read_surprises(self, views: Sequence[BlockView]) -> dict[BlockHash, Readings]:
        """The holdings that the logs name and nobody hinted at."""
        wanted: dict[KnownBlock, frozenset[Holding]] = {
            view.head: surprising
            for view in views
            if (surprising := unread(touched(view.transfers, self.watch), view.readings))
        }
        return await self._node.read(wanted) if wanted else {}

    async def _close(self, view: BlockView, more: Readings) -> None:
        head = view.head
        self._book.note_unreadable({**view.readings.unreadable, **more.unreadable})
        facts = await self._book.facts({**view.readings.values, **more.values}, head, view.transfers)
        if view.transfers:
            self._ledger.note(view.transfers, {fact.holding for fact in facts})
        if facts:
            await self._ledger.commit(facts, head)
        self.known = self.known.extend(head)
        if any(holding.token == NATIVE for holding in view.readings.values):
            self._book.natives_read(head.number)
        self._metrics.block_done()

    async def read_unread(self) -> None:
        """Read what was never read, or must be read again, at our own tip; what differs is recorded there."""
        tip = self.tip
        if tip is None or not self.unread:
            return
        wanted = self.unread
        readings = (await self._node.read({tip: wanted})).get(tip.hash, Readings())
        self._book.note_unreadable(readings.unreadable)
        returned = self._ledger.returned
        facts = await self._book.facts(readings.values, tip, (), "sync")
        expected = returned | self._book.late
        facts = (*facts, *self._book.confirmed(readings.values, tip.ref))
        if facts:
            await self._ledger.commit(facts, tip)
        self._metrics.drifted(sum(fact.cause == "sync" and fact.holding not in expected for fact in facts))
        self._ledger.returned -= wanted
        self.unread = self.unread - wanted
        self._was_read(wanted)

    async def refresh(self, holding: Holding) -> tuple[int, BlockRef]:
        """Read one balance at the tip, now."""
        tip = self.tip
        if tip is None:
            raise BadAnswer("no block is known yet")
        readings = (await self._node.read({tip: (holding,)})).get(tip.hash, Readings())
        if holding not in readings.values:
            raise Impossible(readings.unreadable.get(holding, "the node gave no balance"), field="token")
        facts = await self._book.facts(readings.values, tip, (), "refresh")
        if facts:
            await self._ledger.commit(facts, tip)
        return readings.values[holding], tip.ref
