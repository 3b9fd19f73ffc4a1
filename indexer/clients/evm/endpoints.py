"""Several endpoints as one: the first healthy one is asked, a lost one is tried again in the background.

An endpoint that fails is left at once, for the next; one probe at a time finds out when it is back, so that no
caller ever waits for one that may still be dead. A question is answered, or refused, within a bounded time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog

from indexer.clients.evm.calls import Limits, Plan
from indexer.clients.evm.counts import Counts
from indexer.clients.evm.endpoint import Endpoint
from indexer.errors import (
    BadAnswer,
    BlockUnknown,
    IndexerError,
    NodeUnreachable,
    StateMissing,
    Throttled,
    Transient,
    WrongChain,
)

log = structlog.get_logger(__name__)

T = TypeVar("T")

_SHORTEST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
_CALM_SECONDS: Final = 30.0
"""Lost again sooner than this, it is the same outage: it goes on backing off, and says nothing new."""
_BAD_ANSWERS: Final = 3


@dataclass(slots=True)
class _Attempts:
    """How one question has fared so far."""

    deadline: float
    rest_seconds: float | None
    denials: dict[str, IndexerError] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)


class Endpoints:
    """The endpoints of one chain, in order of preference."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        chain: str,
        counts: Counts,
        chain_id: int | None = None,
        timeout_seconds: float = 10.0,
        patience_seconds: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not endpoints:
            raise ValueError("a chain needs at least one endpoint")
        self.chain_id = chain_id
        self._endpoints = tuple(endpoints)
        self._log = log.bind(chain=chain)
        self._counts = counts
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._last = self._endpoints[0]
        self._revivals: dict[str, asyncio.Task[None]] = {}
        self._came_back = asyncio.Event()

    @property
    def name(self) -> str:
        """The endpoint that answered last."""
        return self._last.name

    async def ask(
        self,
        make: Callable[[Limits], Plan[T]],
        *,
        timeout_seconds: float | None = None,
        patience_seconds: float | None = None,
        rest_seconds: float | None = None,
    ) -> T:
        """Answer the question that `make` puts for given limits, by the best endpoint that can.

        `BlockUnknown` and `StateMissing` are raised once every healthy endpoint said so; anything else that fails
        is tried elsewhere, or again, until patience ends. `rest_seconds` is how much of it to spend on waiting while
        no endpoint is healthy; without it, all.
        """
        patience = self._patience_seconds if patience_seconds is None else patience_seconds
        attempts = _Attempts(self._clock() + patience, rest_seconds)
        while True:
            endpoint = self._best(attempts)
            if endpoint is None:
                await self._wait(attempts)
                continue
            left = max(0.1, attempts.deadline - self._clock())
            try:
                answer = await endpoint.ask(make, min(timeout_seconds or self._timeout_seconds, left), self.chain_id)
            except (BadAnswer, BlockUnknown, NodeUnreachable, StateMissing, Throttled, WrongChain) as error:
                self._failed(endpoint, error, attempts)
            else:
                self._answered(endpoint)
                return answer

    async def close(self) -> None:
        revivals = [*self._revivals.values()]
        self._revivals.clear()
        for task in revivals:
            task.cancel()
        await asyncio.gather(*revivals, return_exceptions=True)
        for endpoint in self._endpoints:
            await endpoint.wire.disconnect()

    def _best(self, attempts: _Attempts) -> Endpoint | None:
        """The first healthy one that has not denied; those that answered nonsense come last."""
        able = [endpoint for endpoint in self._endpoints if endpoint.is_well and endpoint.name not in attempts.denials]
        return min(able, key=lambda endpoint: attempts.faults[endpoint.name], default=None)

    def _answered(self, endpoint: Endpoint) -> None:
        endpoint.bad_answers = 0
        if endpoint is not self._last:
            self._last = endpoint
            self._counts.switched()

    def _failed(self, endpoint: Endpoint, error: IndexerError, attempts: _Attempts) -> None:
        """Go on with another endpoint, or later, unless the bounds are reached."""
        is_late = self._clock() >= attempts.deadline
        match error:
            case BlockUnknown() | StateMissing():
                attempts.denials[endpoint.name] = error
            case BadAnswer():
                attempts.faults[endpoint.name] += 1
                # One may be an accident of one question; several in a row are an illness.
                endpoint.bad_answers += 1
                if endpoint.bad_answers >= _BAD_ANSWERS:
                    self._lose(endpoint, error)
                if is_late or attempts.faults.total() >= _BAD_ANSWERS * len(self._endpoints):
                    raise error
            case _:
                self._lose(endpoint, error)
                if is_late:
                    raise self._nobody() from error

    async def _wait(self, attempts: _Attempts) -> None:
        """Until an endpoint is back, or patience ends; not at all when those that are well said no."""
        if attempts.denials:
            # One that lags may have it in a moment: that it was pruned elsewhere is not the last word.
            raise min(attempts.denials.values(), key=lambda error: isinstance(error, StateMissing))
        if attempts.rest_seconds is not None:
            attempts.deadline = min(attempts.deadline, self._clock() + attempts.rest_seconds)
            attempts.rest_seconds = None
        left = attempts.deadline - self._clock()
        nobody = self._nobody()
        if left <= 0 or isinstance(nobody, WrongChain):
            # A wrong chain is a wrong setting, which waiting does not mend.
            raise nobody
        self._came_back.clear()
        waiting = asyncio.ensure_future(self._came_back.wait())
        timer = asyncio.ensure_future(self._sleep(left))
        try:
            await asyncio.wait((waiting, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            timer.cancel()

    def _nobody(self) -> Transient | WrongChain:
        reasons = [endpoint.reason for endpoint in self._endpoints]
        text = "; ".join(f"{endpoint.name}: {endpoint.reason}" for endpoint in self._endpoints)
        if all(isinstance(reason, WrongChain) for reason in reasons):
            return WrongChain(text)
        if all(isinstance(reason, Throttled) for reason in reasons):
            return Throttled(text)
        return NodeUnreachable(text)

    # --- health ---------------------------------------------------------------------------------------------------

    def _lose(self, endpoint: Endpoint, error: IndexerError) -> None:
        endpoint.reason = error
        if not endpoint.is_well:
            return
        endpoint.is_well = endpoint.is_proven = False
        if self._clock() - endpoint.well_since >= _CALM_SECONDS:
            endpoint.failures = 0
        if not endpoint.failures:
            endpoint.is_told = True
            self._log.warning("endpoint_lost", endpoint=endpoint.name, reason=str(error))
        self._revivals[endpoint.name] = asyncio.create_task(self._revive(endpoint))

    async def _revive(self, endpoint: Endpoint) -> None:
        """Probe a lost endpoint until it answers: pauses grow, and stay short enough to be back soon."""
        while not endpoint.is_well:
            await self._sleep(self._pause(endpoint))
            endpoint.failures += 1
            try:
                await endpoint.probe(self.chain_id)
            except IndexerError as error:
                endpoint.reason = error
            else:
                self._welcome(endpoint)

    def _pause(self, endpoint: Endpoint) -> float:
        pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0 ** min(endpoint.failures, 10)) * (0.5 + self._chance() / 2)
        reason = endpoint.reason
        asked = (reason.retry_after_seconds or 0.0) if isinstance(reason, Throttled) else 0.0
        return max(pause, asked)

    def _welcome(self, endpoint: Endpoint) -> None:
        endpoint.is_well = True
        endpoint.bad_answers = 0
        endpoint.well_since = self._clock()
        # It may be another program by now: what it takes at once is found out anew.
        endpoint.limits = Limits()
        self._revivals.pop(endpoint.name, None)
        self._came_back.set()
        if endpoint.is_told:
            endpoint.is_told = False
            self._log.info("endpoint_back", endpoint=endpoint.name, probes=endpoint.failures)
