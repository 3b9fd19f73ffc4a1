"""Reads balances at our own tip: those that are due, and one that somebody asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from actors.chains.nodes import Node
from actors.chains.reading.unanswered import Unanswered
from indexer.domain.chain import NATIVE, BlockRef, Head, Holding
from indexer.domain.following.views import Readings
from indexer.errors import BadAnswer, Impossible

PART: Final = 500
"""Balances in one turn: to read, commit and tell 5,000 takes a second, in which heads would wait."""


class Reader:
    """What was never read, or must be read again, is `due`; what differs is recorded at the tip."""

    def __init__(
        self,
        *,
        followed: Followed,
        node: Node,
        book: Bookkeeper,
        unanswered: Unanswered,
        ledger: Ledger,
        drifted: Callable[[int], None],
        was_read: Callable[[frozenset[Holding]], None],
    ) -> None:
        self.due = followed.watch.holdings()
        self._followed = followed
        self._node = node
        self._book = book
        self._unanswered = unanswered
        self._ledger = ledger
        self._drifted = drifted
        self._was_read = was_read

    async def read_due(self, tip: Head) -> None:
        """A part of it, native balances first: those of the rest would be read with the next head, and hold it up."""
        wanted = self.due
        if not wanted:
            return
        if len(wanted) > PART:
            wanted = frozenset(sorted(wanted, key=lambda holding: (holding.token != NATIVE, holding))[:PART])
        readings = (await self._node.read({tip: wanted})).get(tip.hash, Readings())
        returned = self._ledger.returned
        facts = await self._book.facts(readings.values, tip, (), "sync")
        expected = returned | self._book.late | self._ledger.unread.held.keys()
        facts = (*facts, *self._book.confirmed(readings.values, tip.ref))
        if facts:
            await self._ledger.commit(facts, tip)
        self._book.some_read(readings.values, tip.number)
        self._drifted(sum(fact.cause == "sync" and fact.holding not in expected for fact in facts))
        read = wanted - readings.unreadable.keys()
        self._ledger.returned -= read
        self._unanswered.note(readings, tip.number)
        self.due = self.due - wanted
        self._was_read(read)
        await self._ledger.keep_unread(self._followed.known)

    async def refresh(self, holding: Holding, tip: Head | None) -> tuple[int, BlockRef]:
        """Read one balance, now."""
        if tip is None:
            raise BadAnswer("no block is known yet")
        readings = (await self._node.read({tip: (holding,)})).get(tip.hash, Readings())
        if holding not in readings.values:
            self._unanswered.note(readings, tip.number)
            raise Impossible(readings.unreadable.get(holding, "the node gave no balance"), field="token")
        facts = await self._book.facts(readings.values, tip, (), "refresh")
        if holding in self._ledger.unread.held:
            facts = (*facts, *self._book.confirmed(readings.values, tip.ref))
        if facts:
            await self._ledger.commit(facts, tip)
        self._book.some_read(readings.values, tip.number)
        self._unanswered.note(readings, tip.number)
        return readings.values[holding], tip.ref
