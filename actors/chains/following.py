"""Follows one chain through a node: from a head to commits. No inbox, no timers, no listening."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import islice

from actors.chains.blocks.ahead import Ahead, spans_of
from actors.chains.blocks.indexing import BlockIndexer
from actors.chains.blocks.recognizing import ChainBook, Recognizer
from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from actors.chains.health.asking import Asking
from actors.chains.nodes import Node, Tokens
from actors.chains.reading.introducing import Introducer
from actors.chains.reading.reading import Reader
from actors.chains.reading.retelling import Retelling
from actors.chains.reading.unanswered import Unanswered
from actors.chains.reorgs.doubts import Doubts
from actors.chains.reorgs.repairing import Repairer
from actors.chains.reorgs.resyncing import Resyncer
from actors.messages import Differed, Failed, TokensChanged
from indexer.domain.balances import Watch
from indexer.domain.chain import Head, Holding
from indexer.domain.following.headchain import Extended, HeadChain, Known, Missed, Reorged, advance, is_linked
from indexer.domain.following.views import Readings
from indexer.domain.health.status import NativesRead
from indexer.errors import BadAnswer, StateMissing
from indexer.metrics import ChainMetrics

PARTS_A_TURN = 8
"""Of what was missed; each is written while the next is asked for. Then other messages get their turn."""


class Follower:
    """The blocks that were handled (`known`), and what is watched."""

    def __init__(
        self,
        *,
        name: str,
        chain_id: int,
        node: Node,
        ledger: Ledger,
        tokens: Tokens,
        book: ChainBook,
        watch: Watch,
        window: int,
        native_interval: int,
        metrics: ChainMetrics,
        was_read: Callable[[frozenset[Holding]], None] = lambda _holdings: None,
        passed_over: Callable[[int], None] = lambda _seq: None,
        left_branch: Callable[[], None] = lambda: None,
    ) -> None:
        self.followed = Followed(watch, window)
        self.asking = Asking(node)
        """Everything that is asked in a handler's turn goes through it."""
        self._node = self.asking
        self._ledger = ledger
        self.tokens = tokens
        self._recognizer = Recognizer(chain=name, chain_id=chain_id, node=self._node, book=book)
        self._metrics = metrics
        self._book = Bookkeeper(
            name=name,
            chain_id=chain_id,
            node=self._node,
            ledger=ledger,
            followed=self.followed,
            interval=native_interval,
            unplaced=metrics.unplaced,
        )
        self.unanswered = Unanswered(chain=name, ledger=ledger, counted=metrics.unreadable, was_read=was_read)
        self.reader = Reader(
            followed=self.followed,
            node=self._node,
            book=self._book,
            unanswered=self.unanswered,
            ledger=ledger,
            drifted=metrics.drifted,
            was_read=was_read,
        )
        self._retelling = Retelling(
            chain_id=chain_id,
            node=self._node,
            book=self._book,
            unanswered=self.unanswered,
            ledger=ledger,
            tokens=tokens,
            followed=self.followed,
        )
        self.introducer = Introducer(
            chain_id=chain_id, tokens=tokens, book=self._book, retelling=self._retelling, followed=self.followed
        )
        self._resyncer = Resyncer(
            name=name,
            chain_id=chain_id,
            followed=self.followed,
            node=self._node,
            book=self._book,
            unanswered=self.unanswered,
            ledger=ledger,
            resynced=metrics.resynced,
            passed_over=passed_over,
            renamed=lambda: self._retelling.untold,
        )
        self._doubts = Doubts(chain=name, node=self._node, doubted=metrics.doubted)
        self._blocks = BlockIndexer(
            chain=name,
            followed=self.followed,
            node=self._node,
            ledger=ledger,
            book=self._book,
            unanswered=self.unanswered,
            native_interval=native_interval,
            metrics=metrics,
        )
        self._repairer = Repairer(
            name=name,
            followed=self.followed,
            node=self._node,
            ledger=ledger,
            book=self._book,
            unanswered=self.unanswered,
            reader=self.reader,
            retelling=self._retelling,
            blocks=self._blocks,
            recognizer=self._recognizer,
            doubts=self._doubts,
            resyncer=self._resyncer,
            reorged=metrics.reorged,
            left_branch=left_branch,
        )
        self._missed_to = 0
        """Up to there blocks count as missed, or as another branch's: what is gone on with is no gap of its own."""
        self._clock = time.perf_counter  # the loop's own clock stands still within a turn

    @property
    def known(self) -> HeadChain:
        return self.followed.known

    @property
    def watch(self) -> Watch:
        return self.followed.watch

    @property
    def tip(self) -> Head | None:
        return self.followed.tip

    @property
    def natives_read(self) -> NativesRead | None:
        return self._book.read

    async def load(self) -> None:
        """Go on where the log ends; everything watched is read again once we have caught up."""
        begun = await self._ledger.load(self.watch)
        self.followed.known = begun.known
        self._book.load(begun.native_since)
        self._retelling.load(begun.words)
        self.unanswered.show()

    async def recognize(self) -> None:
        """Before anything else, and where nothing is as we know it: who the node is."""
        await self._recognizer.recognize()

    async def begin(self) -> None:
        """What is told from now on says of tokens what is known of them; what was told before may say otherwise."""
        await self.introducer.begin(has_told=self._ledger.seq > 0)
        self._retelling.begin()

    def misnamed(self) -> frozenset[str]:
        """Tokens that have to be asked before it is known whether an earlier life told them rightly."""
        return self._retelling.misnamed

    async def retell(self) -> bool:
        """The balances of such tokens, a part of them at our tip; whether there is more."""
        return self.tip is not None and await self._retelling.tell(self.tip)

    async def rewatch(self, *watches: Watch) -> None:
        """What is new is due to be read, even where an older balance of it is stored.

        One after the other, since who is missing in one of them was not watched for a while; kept once.
        """
        for watch in watches:
            self._ledger.rewatch(self.watch, watch)
            self.reader.due = (self.reader.due - self.watch.beyond(watch)) | watch.beyond(self.watch)
            self.followed.watch = watch
        self.introducer.expect()
        self.unanswered.show()
        # Before another block is handled: what happens to those that are not watched in it is not known.
        await self._ledger.keep(self.known)

    def doubt(self, said: Differed | Failed | TokensChanged) -> None:
        """What was seen beside the heads, a little below our tip: read again there."""
        match said:
            case Differed(holdings):
                self.reader.due |= self.watch.of(holdings)
            case Failed(block, why) if self.known.find(block.hash) is not None:
                recorded = {update.holding for update in self._ledger.above(block.number)}
                left = {key: reason for key, reason in why.items() if key not in recorded and self.watch.covers(key)}
                self.unanswered.note(Readings({}, left), block.number)
                self.reader.due |= left.keys()
            case TokensChanged(infos, asked):
                self._retelling.changed(infos)
                self._retelling.asked(asked)
            case _:
                pass  # it was taken back since: the next round sees

    # --- deciding ----------------------------------------------------------------------------------------------------

    async def follow(self, head: Head) -> bool:
        """Handle this head, or the first part of what was missed up to it; whether there is more."""
        await self.introducer.introduce()
        match advance(self.known, head):
            case Known():
                return False
            case Extended():
                await self._blocks.index_head(head)
                self._doubts.none()
                return False
            case Missed(first, last):
                more = await self._catch_up(first, last)
                if more is None:
                    return await self._repair()
                self._metrics.gap(last - max(first - 1, self._missed_to), goes_on=first <= self._missed_to)
                self._missed_to = max(last, self._missed_to)
                return more
            case Reorged():
                return False if await self._repairer.swap(head) else await self._repair()

    async def _catch_up(self, first: int, last: int, parts: int = PARTS_A_TURN) -> bool | None:
        """Index the first parts of what was missed; nothing when it does not sit on our tip."""
        spans = tuple(islice(spans_of(first, last), parts))
        ahead = Ahead(self.asking.node, self.watch, self._blocks.look_at, spans)
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
                    await self._blocks.index(part.views)
                except StateMissing as error:
                    await ahead.drop()
                    why = f"blocks {span.first} to {span.last} cannot be read any more: {error}"
                    await self._resyncer.resync(why, await self._node.newest())
                    return span.last < last
        finally:
            await ahead.drop()
        return spans[-1].last < last

    async def _repair(self) -> bool:
        """Take back what is orphaned; the new branch is then merely missed, and written with what is reverted."""
        try:
            async with self._ledger.writer.together():
                newest = await self._repairer.take_back()
                if newest is None:
                    return False
                self._missed_to = newest.number  # of the new branch nothing was missed
                return await self._catch_up_to(newest)
        finally:
            self._repairer.say_reorged()

    async def _catch_up_to(self, newest: Head) -> bool:
        """A part of it, since what is held is written at the end; whether there is more."""
        tip = self.tip
        if tip is None or newest.number <= tip.number:
            return False
        more = await self._catch_up(tip.number + 1, newest.number, parts=1)
        if more is None:
            raise BadAnswer("the node contradicts itself about its newest blocks")
        return more
