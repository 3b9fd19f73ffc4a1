"""One question to several endpoints: whoever keeps us waiting is overtaken, and whoever answers first is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from indexer.clients.evm.asking.calls import RangeTimedOut, TakenApart
from indexer.clients.evm.endpoints.attempts import Attempts
from indexer.clients.evm.endpoints.endpoint import Endpoint
from indexer.clients.evm.endpoints.hedging import Hedging
from indexer.clients.evm.endpoints.late import Latecomers
from indexer.clients.evm.endpoints.roster import Roster
from indexer.errors import (
    BadAnswer,
    BlockUnknown,
    IndexerError,
    NodeUnreachable,
    ResponseTooLarge,
    StateMissing,
    Throttled,
    WrongChain,
)

T = TypeVar("T")

DENIALS: Final = (BlockUnknown, RangeTimedOut, StateMissing, TakenApart)
"""It is well, and cannot say: whoever else is well is asked."""
ILLS: Final = (*DENIALS, BadAnswer, NodeUnreachable, Throttled, WrongChain)


class Race(Generic[T]):
    """`failed` hears of each that could not answer; what it raises ends the race."""

    def __init__(
        self,
        ask: Callable[[Endpoint], Coroutine[Any, Any, T]],
        attempts: Attempts,
        *,
        roster: Roster,
        hedging: Hedging,
        hedge_seconds: float | None,
        late: Latecomers,
        failed: Callable[[Endpoint, IndexerError, Attempts], None],
        hedged: Callable[[], None],
        back: Callable[[], asyncio.Future[None]],
    ) -> None:
        self._ask = ask
        self._attempts = attempts
        self._roster = roster
        self._hedging = hedging
        self._hedge_seconds = hedge_seconds
        self._late = late
        self._failed = failed
        self._hedged = hedged
        self._back = back
        self._asked: list[Endpoint] = []
        self._running: dict[asyncio.Task[T], Endpoint] = {}
        self._too_large: ResponseTooLarge | None = None

    async def won(self, first: Endpoint) -> tuple[Endpoint, T] | None:
        """Who answered, and what; that it is too large is raised once nobody else answers.

        Nothing when all who were asked failed, or when one hangs and all others do not have the block.
        """
        self._enter(first)
        try:
            while self._running:
                other = self._roster.next(self._attempts, self._asked)
                pause = self._pause(other)
                if done := await self._ended(pause):
                    if winner := self._first_answer(done):
                        return winner
                elif pause is None:
                    continue  # somebody is back, who may be asked as well
                elif other is not None:
                    self._overtake(other)
                else:
                    self._leave_unheard()
        finally:
            self._call_off()
        if self._too_large is not None:
            raise self._too_large
        return None

    def _enter(self, endpoint: Endpoint) -> None:
        self._asked.append(endpoint)
        self._running[asyncio.ensure_future(self._ask(endpoint))] = endpoint

    def _pause(self, other: Endpoint | None) -> float | None:
        return self._hedging.pause(self._asked[-1], self._running.values(), other, self._attempts, self._hedge_seconds)

    async def _ended(self, pause: float | None) -> list[asyncio.Task[T]]:
        """Those that have within that pause, as they were asked; without one, none as well when an endpoint is back."""
        back = () if pause is not None else (self._back(),)
        done, _ = await asyncio.wait((*self._running, *back), timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        return [task for task in self._running if task in done]

    def _first_answer(self, done: list[asyncio.Task[T]]) -> tuple[Endpoint, T] | None:
        """The others may go on for a while: their end tells how ill they are."""
        for task in done:
            endpoint = self._running.pop(task)
            try:
                answer = task.result()
            except ILLS as error:
                self._failed(endpoint, error, self._attempts)
            except ResponseTooLarge as error:
                # The others may take more at once.
                self._too_large = error
            else:
                self._late.leave(self._running)
                self._running.clear()
                return endpoint, answer
        return None

    def _overtake(self, other: Endpoint) -> None:
        self._hedging.hedged()
        self._hedged()
        self._enter(other)

    def _leave_unheard(self) -> None:
        """All others do not have the block, and these keep us waiting longer than they may."""
        self._attempts.unheard += [endpoint.name for endpoint in self._running.values()]
        self._late.leave(self._running, self._roster.lacking(self._attempts))
        self._running.clear()

    def _call_off(self) -> None:
        for task in self._running:
            if task.done() and not task.cancelled():
                task.exception()  # looked at, so that nobody is told that it was not
            task.cancel()
