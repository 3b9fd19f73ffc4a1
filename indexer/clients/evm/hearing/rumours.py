"""A head that only the spare websocket told, and when to ask about it."""

from __future__ import annotations

import math
from typing import Final

from indexer.domain.chain import Head

_SECONDS: Final = 0.4
"""What the spare websocket tells may just be on its way to us; then everybody is asked."""
_TIMES: Final = 4
"""So often: who announces a block may have it a moment later only."""

_MOST_PATIENCE: Final = 32


class Rumours:
    """One at a time: whatever comes of it, heads above it are no rumour by then."""

    def __init__(self) -> None:
        self._head: Head | None = None
        self._due = math.inf
        self._asked = 0
        self._patience = 1
        """So many times as long where rumours are only early: all others would be asked at each of them."""

    @property
    def due_at(self) -> float:
        """When to ask; never, where there is none."""
        return self._due

    def told(self, head: Head, newest: Head | None, now: float) -> bool:
        """Whether it is news."""
        if self._head is not None or (newest is not None and head.number <= newest.number):
            return False
        self._head, self._due, self._asked = head, now + _SECONDS * self._patience, 0
        return True

    def heard(self, newest: Head, now: float) -> None:
        """It is none any more, where that is as high."""
        if self._head is None or self._head.number > newest.number:
            return
        if now >= self._due:
            self._patience = 1  # nobody else told it: asking did
        elif self._asked:
            self._was_early()
        self._forget()

    def asked(self, newest: Head | None, now: float) -> None:
        """About this one; soon once more, where nobody has it yet."""
        if self._head is None:
            return
        self._asked += 1
        is_known = newest is not None and newest.number >= self._head.number
        if is_known:
            self._forget()
        elif self._asked >= _TIMES:
            self._was_early()
            self._forget()
        else:
            self._due = now + _SECONDS

    def _was_early(self) -> None:
        self._patience = min(_MOST_PATIENCE, 2 * self._patience)

    def _forget(self) -> None:
        self._head, self._due = None, math.inf
