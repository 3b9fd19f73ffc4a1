"""A chain's word on itself, also while a handler is held up and says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from actors.chains.books.ledger import Ledger
from actors.chains.health.alarm import Alarm
from actors.chains.health.health import Health
from actors.chains.nodes import Node
from actors.chains.reading.turns import ReadingTurns
from indexer.domain.chain import Head
from indexer.domain.following.feed import HeadSource
from indexer.domain.health.status import STALE_SECONDS, NativesRead, StreamStatus
from indexer.domain.times import block_time

CATCHING_UP_BEYOND: Final = 64
"""Fewer missed blocks are a hiccup, not a state worth telling."""


class Showing:
    """Puts what is known of a chain into a status, and shows it; notes the newest head and how long we are behind."""

    def __init__(
        self,
        *,
        stream: str,
        name: str,
        restarts: int,
        node: Node,
        health: Health,
        alarm: Alarm,
        turns: ReadingTurns,
        ledger: Ledger,
        show: Callable[[StreamStatus], None],
    ) -> None:
        self.newest: Head | None = None
        self.source: HeadSource | None = None
        self.busy_since: float | None = None
        self._behind_since: datetime | None = None
        self._first = StreamStatus(stream=stream, name=name, restarts=restarts)
        self._node = node
        self._health = health
        self._alarm = alarm
        self._turns = turns
        self._ledger = ledger
        self._show = show
        self._clock = asyncio.get_running_loop().time
        self._shown: StreamStatus | None = None

    def heard(self, head: Head, tip: Head | None) -> None:
        self.newest = head
        if self._behind_since is None and (tip is None or head.number > tip.number):
            self._behind_since = datetime.now(UTC)

    def reached(self, tip: Head) -> None:
        if self.newest is None or self.newest.number <= tip.number:
            self._behind_since = None

    def is_far_behind(self, tip: Head | None) -> bool:
        return tip is None or (self.newest is not None and self.newest.number - tip.number > CATCHING_UP_BEYOND)

    def status(self, tip: Head | None, *, began: bool, natives_read: NativesRead | None, queued: int) -> None:
        state = self._health.state(
            began=began and tip is not None,
            behind=self._turns.owe_reads or self.is_far_behind(tip),
            told_stale=self._alarm.is_stale,
        )
        # As of this block, as all of it: while the next ones are written they may have been read further up.
        self._put(
            replace(
                self._first,
                state=state,
                ready=state == "live" and self._turns.has_caught_up,
                block=tip.number if tip else None,
                block_time=block_time(tip.timestamp) if tip else None,
                endpoint=self._node.endpoint,
                troubles=self._node.troubles,
                natives_read=natives_read,
                seq=self._ledger.seq,
            ),
            queued,
        )

    def waiting(self, queued: int) -> None:
        """A handler that is held up, as by a store that is gone, says nothing until it is done; what waits is shown.

        The number stays as well: what the handler told since is not in the rest of this word.
        """
        if self.busy_since is None or self._shown is None:
            return
        held_up = self._shown.state == "live" and self._clock() - self.busy_since > STALE_SECONDS
        shown = replace(self._shown, state="stale", ready=False) if held_up else self._shown
        self._put(shown, queued)

    def _put(self, status: StreamStatus, queued: int) -> None:
        self._shown = replace(
            status,
            newest_block=self.newest.number if self.newest else None,
            behind_since=self._behind_since,
            heads=self.source,
            last_error=self._health.reason or self._ledger.writer.error,
            queue_depth=queued,
            incidents=self._ledger.incidents,
            unread=self._ledger.unread,
        )
        self._show(self._shown)
