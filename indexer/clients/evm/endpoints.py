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
from typing import Final, Protocol, TypeVar

import structlog

from indexer.clients.evm.answers import quantity
from indexer.clients.evm.calls import Call, Limits, Plan, Reply, TooMuch, trips
from indexer.clients.evm.counts import Counts
from indexer.clients.evm.names import without_secrets
from indexer.clients.evm.wording import CallFailed, Unsupported
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

_PROBE_SECONDS: Final = 3.0
_SHORTEST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
_CALM_SECONDS: Final = 30.0
"""Lost again sooner than this, it is the same outage: it goes on backing off, and says nothing new."""
_BAD_ANSWERS: Final = 3
_SHRINKS: Final = 16


class Wire(Protocol):
    """What carries calls to one endpoint."""

    async def exchange(self, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]: ...

    async def disconnect(self) -> None: ...


@dataclass(slots=True)
class Endpoint:
    """One URL: how well it is, and how much it takes at once."""

    url: str
    name: str
    wire: Wire
    limits: Limits = field(default_factory=Limits)
    is_well: bool = True
    is_proven: bool = False
    """It showed that it follows our chain."""
    reason: IndexerError | None = None
    failures: int = 0
    bad_answers: int = 0
    well_since: float = 0.0
    is_told: bool = False
    """Its loss was logged, so its return will be."""


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
        deadline = self._clock() + patience
        timeout = timeout_seconds or self._timeout_seconds
        denials: dict[str, IndexerError] = {}
        faults: Counter[str] = Counter()
        while True:
            endpoint = self._best(denials, faults)
            if endpoint is None:
                if denials:
                    # One that lags may have it in a moment: that it was pruned elsewhere is not the last word.
                    raise min(denials.values(), key=lambda error: isinstance(error, StateMissing))
                if rest_seconds is not None:
                    deadline, rest_seconds = min(deadline, self._clock() + rest_seconds), None
                await self._wait(deadline)
                continue
            try:
                answer = await self._ask_one(endpoint, make, max(0.1, min(timeout, deadline - self._clock())))
            except (BlockUnknown, StateMissing) as error:
                denials[endpoint.name] = error
            except BadAnswer as error:
                faults[endpoint.name] += 1
                self._bad_answer(endpoint, error)
                if faults.total() >= _BAD_ANSWERS * len(self._endpoints) or self._clock() >= deadline:
                    raise
            except (NodeUnreachable, Throttled, WrongChain) as error:
                self._lose(endpoint, error)
                if self._clock() >= deadline:
                    raise self._nobody() from error
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

    def _best(self, denials: dict[str, IndexerError], faults: Counter[str]) -> Endpoint | None:
        """The first healthy one that has not denied; those that answered nonsense come last."""
        able = [endpoint for endpoint in self._endpoints if endpoint.is_well and endpoint.name not in denials]
        return min(able, key=lambda endpoint: faults[endpoint.name], default=None)

    async def _wait(self, deadline: float) -> None:
        """Until an endpoint is back, or patience ends."""
        left = deadline - self._clock()
        if left <= 0:
            raise self._nobody()
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

    async def _ask_one(self, endpoint: Endpoint, make: Callable[[Limits], Plan[T]], timeout_seconds: float) -> T:
        for _ in range(_SHRINKS):
            plan = make(endpoint.limits)
            try:
                replies: list[Reply] = []
                for trip in trips(plan.calls, endpoint.limits):
                    replies += await self._travel(endpoint, trip, timeout_seconds)
                return plan.read(replies)
            except TooMuch as problem:
                if not endpoint.limits.lower(problem):
                    raise
                self._log.debug("limit_lowered", endpoint=endpoint.name, limit=problem.limit, reason=str(problem))
            except (Unsupported, CallFailed) as error:
                raise BadAnswer(str(error)) from error
        raise BadAnswer("refuses however little is asked at once")

    async def _travel(self, endpoint: Endpoint, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]:
        """One round trip; the first to an endpoint also asks whether it follows our chain."""
        if self.chain_id is None or endpoint.is_proven:
            return await self._exchange(endpoint, calls, timeout_seconds)
        proof = Call("eth_chainId")
        if endpoint.limits.batch == 1:
            self._prove(endpoint, (await self._exchange(endpoint, [proof], timeout_seconds))[0])
            return await self._exchange(endpoint, calls, timeout_seconds)
        first, *replies = await self._exchange(endpoint, [proof, *calls], timeout_seconds)
        self._prove(endpoint, first)
        return replies

    async def _exchange(self, endpoint: Endpoint, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]:
        self._counts.round_trips[endpoint.name] += 1
        try:
            replies = await endpoint.wire.exchange(calls, timeout_seconds)
        except IndexerError as error:
            for call in calls:
                self._counts.requests[endpoint.name, call.method, type(error).__name__] += 1
            raise
        for call, reply in zip(calls, replies, strict=True):
            outcome = "ok" if reply.error is None else type(reply.error).__name__
            self._counts.requests[endpoint.name, call.method, outcome] += 1
        return replies

    def _prove(self, endpoint: Endpoint, reply: Reply) -> None:
        found = quantity(reply.get())
        if found != self.chain_id:
            raise WrongChain(f"follows chain {found}, not {self.chain_id}")
        endpoint.is_proven = True

    def _answered(self, endpoint: Endpoint) -> None:
        endpoint.bad_answers = 0
        if endpoint is not self._last:
            self._last = endpoint
            self._counts.switches += 1

    def _bad_answer(self, endpoint: Endpoint, error: BadAnswer) -> None:
        """One may be an accident of one question; several in a row are an illness."""
        endpoint.bad_answers += 1
        if endpoint.bad_answers >= _BAD_ANSWERS:
            self._lose(endpoint, error)

    def _lose(self, endpoint: Endpoint, error: IndexerError) -> None:
        endpoint.reason = _masked(error, endpoint.url)
        if not endpoint.is_well:
            return
        endpoint.is_well = False
        endpoint.is_proven = False
        if self._clock() - endpoint.well_since >= _CALM_SECONDS:
            endpoint.failures = 0
        if not endpoint.failures:
            endpoint.is_told = True
            self._log.warning("endpoint_lost", endpoint=endpoint.name, reason=str(endpoint.reason))
        self._revivals[endpoint.name] = asyncio.create_task(self._revive(endpoint))

    async def _revive(self, endpoint: Endpoint) -> None:
        """Probe a lost endpoint until it answers: pauses grow, and stay short enough to be back soon."""
        while not endpoint.is_well:
            await self._sleep(self._pause(endpoint))
            endpoint.failures += 1
            try:
                await self._probe(endpoint)
            except IndexerError as error:
                endpoint.reason = _masked(error, endpoint.url)
                continue
            self._welcome(endpoint)

    def _pause(self, endpoint: Endpoint) -> float:
        pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0 ** min(endpoint.failures, 10)) * (0.5 + self._chance() / 2)
        reason = endpoint.reason
        asked = (reason.retry_after_seconds or 0.0) if isinstance(reason, Throttled) else 0.0
        return max(pause, asked)

    async def _probe(self, endpoint: Endpoint) -> None:
        """Singly, since not every endpoint takes batches."""
        if self.chain_id is not None:
            self._prove(endpoint, (await self._exchange(endpoint, [Call("eth_chainId")], _PROBE_SECONDS))[0])
        quantity((await self._exchange(endpoint, [Call("eth_blockNumber")], _PROBE_SECONDS))[0].get())

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


def _masked(error: IndexerError, url: str) -> IndexerError:
    text = without_secrets(str(error), url)
    if isinstance(error, Throttled):
        return Throttled(text, error.retry_after_seconds)
    return WrongChain(text) if isinstance(error, WrongChain) else NodeUnreachable(text)
