"""After a reorg: what is orphaned is taken back, and one block may be put in the place of our newest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from actors.chains.blocks.indexing import BlockIndexer
from actors.chains.blocks.recognizing import Recognizer
from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from actors.chains.nodes import Node
from actors.chains.reading.reading import Reader
from actors.chains.reading.retelling import Retelling
from actors.chains.reading.unanswered import Unanswered
from actors.chains.reorgs.doubts import Doubts
from actors.chains.reorgs.parting import Agreed, Parted, Strangers, TooLow, compare, retractions, together
from actors.chains.reorgs.resyncing import Resyncer
from actors.chains.reorgs.swapping import Place, swap
from indexer.domain.chain import Head
from indexer.domain.following.headchain import HeadChain
from indexer.domain.resuming.reorgs import leaving, replaced
from indexer.domain.telling.facts import BalanceReverted
from indexer.errors import StateMissing

log = structlog.get_logger(__name__)


class Repairer:
    """Leaves a chain that the node has as well; what the new branch has above it is the caller's to follow."""

    def __init__(
        self,
        *,
        name: str,
        followed: Followed,
        node: Node,
        ledger: Ledger,
        book: Bookkeeper,
        unanswered: Unanswered,
        reader: Reader,
        retelling: Retelling,
        blocks: BlockIndexer,
        recognizer: Recognizer,
        doubts: Doubts,
        resyncer: Resyncer,
        reorged: Callable[[int], None],
        left_branch: Callable[[], None],
    ) -> None:
        self._name = name
        self._followed = followed
        self._node = node
        self._ledger = ledger
        self._book = book
        self._unanswered = unanswered
        self._reader = reader
        self._retelling = retelling
        self._blocks = blocks
        self._recognizer = recognizer
        self._doubts = doubts
        self._resyncer = resyncer
        self._reorged = reorged
        self._left_branch = left_branch
        self._unsaid: list[dict[str, int]] = []

    async def swap(self, head: Head) -> bool:
        """Put `head` in the place of our newest block; whether that was all that there is to do."""
        tip, ancestor = self._followed.tip, replaced(self._followed.known, head)
        if tip is None or ancestor is None:
            return False
        swapped = await swap(
            Place(tip, ancestor, head, self._ledger.above(ancestor.number)),
            node=self._node,
            watch=self._followed.watch,
            natives=self._blocks.reads_natives_at(head),
            balances=self._ledger.balances,
        )
        if swapped is None:
            return False
        self._doubts.none()
        try:
            async with self._ledger.writer.together():
                await self._cut(ancestor, swapped.reverted)
                await self._blocks.index((swapped.view,))
        finally:
            self.say_reorged()
        return True

    async def take_back(self) -> Head | None:
        """Down to the common ancestor. The node's newest block; nothing where that is below all that we remember."""
        newest, known = await self._node.newest(), self._followed.known
        self._doubts.weigh(known, newest)
        match await compare(self._node, known, newest):
            case Parted(ancestor):
                await self._roll_back(ancestor, newest)
            case TooLow():
                await self._recognizer.recognize()
                return None
            case Strangers():
                await self._recognizer.recognize()
                await self._doubts.confirm(known, None, newest)
                await self._start_over(newest)
            case Agreed():
                pass
        self._doubts.none()
        return newest

    def say_reorged(self) -> None:
        """Once it is written: a line of the log takes 0.15 ms, in which clients would wait."""
        if self._unsaid:
            self._left_branch()
        for reorg in self._unsaid:
            log.info("chain_reorged", chain=self._name, **reorg)
        self._unsaid.clear()

    async def _start_over(self, newest: Head) -> None:
        """Everything we remember is orphaned, and perhaps more."""
        known = self._followed.known
        if self._ledger.balances:
            await self._resyncer.resync("a reorg deeper than the window", newest, known.heads[0].number)
            self._reorged(len(known.heads))  # at least
        else:
            self._followed.known = HeadChain(known.depth, (newest,))

    async def _roll_back(self, ancestor: Head, newest: Head) -> None:
        known, orphaned = self._followed.known, self._ledger.above(ancestor.number)
        try:
            # Side by side: what is asked anew costs no time.
            facts, _ = await together(
                retractions(self._node, orphaned, self._ledger.balances, ancestor),
                self._doubts.confirm(known, ancestor, newest),
            )
        except StateMissing as error:
            await self._doubts.confirm(known, ancestor, newest)
            why = f"a reorg to a block that cannot be read any more: {error}"
            await self._resyncer.resync(why, newest, ancestor.number + 1, ancestor)
            self._reorged(known.heads[-1].number - ancestor.number)
            return
        await self._cut(ancestor, facts)

    async def _cut(self, ancestor: Head, facts: Sequence[BalanceReverted]) -> None:
        known = self._followed.known
        depth = known.heads[-1].number - ancestor.number
        self._retelling.taken_back(self._ledger.above(ancestor.number))
        left = known.cut(ancestor.hash)
        due = await self._ledger.roll_back(left, leaving(facts, known.above(ancestor.hash)))
        self._reader.due |= self._followed.watch.of(due)
        self._followed.known = left
        self._book.roll_back(ancestor.number, facts)
        self._unanswered.roll_back(ancestor.number)
        self._reorged(depth)
        self._unsaid.append({"ancestor": ancestor.number, "depth": depth, "reverted": len(facts)})
