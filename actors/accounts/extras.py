"""What is asked beside the balances: positions and funding payments, each once a minute and sooner when in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from actors.accounts.messages import FundingsRead, PositionsRead
from actors.accounts.venue import Venue
from indexer.domain.accounts.fundings import asked_from
from indexer.domain.accounts.polling import ask_again
from indexer.errors import Permanent, Transient

EXTRAS_SECONDS: Final = 60.0
"""How often positions (for what no stream told) and funding payments are read."""

MANY_FAILURES: Final = 3
"""So often in a row, for two minutes, a question fails before that is worth a line: balances are read all the same."""

NEVER: Final = float("inf")


@dataclass(slots=True)
class _Question:
    due: float = 0.0
    is_asked: bool = False
    again: float = NEVER
    """When it has to be asked once more: what made it due may not be in the answer that is on its way."""
    doubts: int = 0
    failures: int = 0

    def soon(self, moment: float) -> None:
        self.due = min(self.due, moment)
        if self.is_asked:
            self.again = min(self.again, moment)

    def answered(self, now: float, *, in_doubt: bool = False) -> None:
        self.is_asked = False
        self.doubts = self.doubts + 1 if in_doubt else 0
        self.due = min(self.again, now + (ask_again(self.doubts) if in_doubt else EXTRAS_SECONDS))
        self.again = NEVER


class Extras:
    """One question of each kind at a time, beside the inbox; the answers are posted to it."""

    def __init__(
        self,
        venue: Venue,
        *,
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        post: Callable[[object], None],
        stream: str,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._venue = venue
        self._spawn = spawn
        self._post = post
        self._stream = stream
        self._log = log
        self._clock = asyncio.get_running_loop().time
        self._positions = _Question(due=0.0 if venue.has_positions else NEVER)
        self._fundings = _Question(due=0.0 if venue.has_fundings else NEVER)
        self._read_until: datetime | None = None
        """Up to when funding payments were read, whether there were any or not."""

    @property
    def next_due(self) -> float:
        return min(NEVER if one.is_asked else one.due for one in (self._positions, self._fundings))

    def soon(self) -> None:
        """Both, as somebody asks for it."""
        for is_there, question in (
            (self._venue.has_positions, self._positions),
            (self._venue.has_fundings, self._fundings),
        ):
            if is_there:
                question.soon(self._clock())

    def positions_soon(self, seconds: float = 0.0) -> None:
        if self._venue.has_positions:
            self._positions.soon(self._clock() + seconds)

    def ask_due(self, known_until: datetime | None) -> None:
        """Ask for what is due; `known_until` is the time of the newest funding payment that was told."""
        now = self._clock()
        if now >= self._positions.due and not self._positions.is_asked:
            self._positions.is_asked = True
            self._spawn(self._read_positions(), f"positions {self._stream}")
        if now >= self._fundings.due and not self._fundings.is_asked:
            self._fundings.is_asked = True
            self._spawn(self._read_fundings(asked_from(known_until, self._read_until)), f"fundings {self._stream}")

    def positions_read(self, ask: str | None) -> None:
        self._positions.answered(self._clock(), in_doubt=ask is not None)

    def fundings_read(self, read: FundingsRead) -> None:
        """A long absence is read in parts, one after the other."""
        self._fundings.answered(self._clock())
        if read.outcome is not None:
            self._read_until = read.outcome.until
            if not read.outcome.is_all:
                self._fundings.soon(self._clock())

    async def _read_positions(self) -> None:
        outcome = None
        try:
            outcome = await self._venue.positions()
        except (Transient, Permanent) as error:
            self._failed("positions", self._positions, error)
        else:
            self._answered("positions", self._positions)
        self._post(PositionsRead(outcome))

    async def _read_fundings(self, since: datetime | None) -> None:
        outcome = None
        try:
            outcome = await self._venue.fundings(since)
        except (Transient, Permanent) as error:
            self._failed("fundings", self._fundings, error)
        else:
            self._answered("fundings", self._fundings)
        self._post(FundingsRead(outcome))

    def _failed(self, what: str, question: _Question, error: Exception) -> None:
        question.failures += 1
        if question.failures == MANY_FAILURES:
            self._log.warning("account_extras_failed", what=what, error=repr(error))

    def _answered(self, what: str, question: _Question) -> None:
        if question.failures >= MANY_FAILURES:
            self._log.info("account_extras_back", what=what)
        question.failures = 0
