"""Where blocks cannot be followed one by one: goes on at the newest, and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from actors.chains.blocks.indexing import standing_on
from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.books.ledger import Ledger
from actors.chains.books.recent import Recorded
from actors.chains.followed import Followed
from actors.chains.nodes import Node
from actors.chains.reading.unanswered import Unanswered
from actors.chains.reorgs.parting import canonical_floor, leads_to
from indexer.domain.chain import Head, Holding
from indexer.domain.following.headchain import HeadChain
from indexer.domain.following.views import Readings
from indexer.domain.recording.gaps import later_than
from indexer.domain.resuming.resyncs import MOST_BALANCES, in_parts
from indexer.domain.telling.facts import Confirmed, Passed, StreamResync
from indexer.errors import BadAnswer

log = structlog.get_logger(__name__)


class Resyncer:
    """Commits one `stream.resync` with all that is watched, and goes on from there."""

    def __init__(
        self,
        *,
        name: str,
        chain_id: int,
        followed: Followed,
        node: Node,
        book: Bookkeeper,
        unanswered: Unanswered,
        ledger: Ledger,
        resynced: Callable[[], None],
        passed_over: Callable[[int], None],
        renamed: Callable[[], frozenset[Holding]],
    ) -> None:
        self._name = name
        self._chain_id = chain_id
        self._followed = followed
        self._node = node
        self._book = book
        self._unanswered = unanswered
        self._ledger = ledger
        self._resynced = resynced
        self._passed_over = passed_over
        self._renamed = renamed
        """Those that are not told yet with what their token says of itself: that they are confirmed would not do it."""

    async def resync(
        self, reason: str, newest: Head, orphaned: int | None = None, ancestor: Head | None = None
    ) -> None:
        """The blocks in between cannot be followed one by one: read everything at the newest, and say so.

        After a reorg that is the block which showed it: asked again, another node might be far behind. With
        `orphaned`, a block number from which on records are of another branch: history is cut where it is still
        canonical, and filled from there, or from the `ancestor` where that is known. What did not change is confirmed
        at the newest block: it may have moved and come back meanwhile. That block is followed from, on those below it
        of which every record is known to be canonical.
        """
        tip, depth = self._followed.tip, self._followed.known.depth
        if orphaned is None and tip is not None and newest.number <= tip.number:
            # Whoever answered is behind, and what is recorded there says more than a read.
            raise BadAnswer(f"the newest block is {newest.number}, and {reason}")
        readings = (await self._node.read({newest: self._followed.watch.holdings()})).get(newest.hash, Readings())
        above, passed = None, None
        if orphaned is not None:
            recorded = await self._ledger.recorded()
            above = await canonical_floor(self._node, recorded, orphaned, newest)
            passed = await self._passed_below(recorded, above, ancestor, readings.values)
        elif tip is not None and not await leads_to(self._node, tip.ref, newest):
            # The blocks that could not be read may have been orphaned, and our own newest ones with them.
            raise BadAnswer("the chain was reorganised while it could not be read")
        elif tip is not None:
            passed = self._book.passed(tip.ref, readings.values)
        lowest = above + 1 if above is not None else 0 if tip is None else tip.number
        heads = await standing_on(self._node, newest, depth, lowest)
        self._ledger.trails.lose(readings.values)  # whatever moved in the blocks in between
        late = self._book.natives_not_gone_on_from(passed, readings.values)
        again = self._renamed() | self._ledger.untold | self._ledger.returned | late.keys()
        facts = tuple(
            replace(fact, apart=True, known_to=late[fact.holding]) if fact.holding in late else fact
            for fact in self._book.changed(readings.values, newest.ref, (), "resync", again)
        )
        self._resynced()
        log.warning("chain_resync", chain=self._name, block=newest.number, reason=reason)
        differing = {fact.holding for fact in facts}
        confirmed = tuple(
            Confirmed(holding, value, self._book.info(holding))
            for holding, value in sorted(readings.values.items())
            if holding not in differing
        )
        if above is not None:
            self._ledger.settling.roll_back(above)
        resyncs = in_parts(StreamResync(self._chain_id, reason, newest.ref, above, confirmed, passed), MOST_BALANCES)
        if passed is not None:
            # Before it is told: nobody knows whether we have a turn after it.
            self._passed_over(self._ledger.seq + len(resyncs))
        await self._ledger.commit((*resyncs, *facts), newest)
        if above is not None:
            self._unanswered.roll_back(above)
        known = above if above is not None else None if tip is None else tip.number
        self._unanswered.note(readings, newest.number, known)
        self._book.natives_read(newest.number, anew=True)
        self._followed.known = HeadChain(depth, heads, newest.number - 1)
        await self._ledger.keep_unread(self._followed.known)

    async def _passed_below(
        self, recorded: Recorded, above: int, ancestor: Head | None, values: Iterable[Holding]
    ) -> Passed | None:
        """From where on there is nothing: our own branch was followed up to where it parts, or to what is left of it.

        What was filled in tells nothing of what was followed.
        """
        blocks = []
        if ancestor is not None:
            newest = await recorded.stored_block(ancestor.number)
            if newest is None or newest.number <= above:
                blocks.append(ancestor.ref)
        left = await recorded.heard_block(above)
        for block in (*blocks, left):
            commits = None if block is None else await self._ledger.told_above(block.number)
            if block is not None and commits is not None:
                passed = self._book.passed_below(block, values, later_than(block.number, commits))
                if passed.followed:
                    return passed
        return None
