"""Several endpoints as one: the first healthy one is asked, and the next one too when that one keeps us waiting.

An endpoint that fails is left at once, for the next. One that hangs is overtaken after a few hundred milliseconds: the
next one is asked as well, and whoever answers first is believed. A question is answered, or refused, within a bounded
time (docs/adr/0014-endpoint-policy.md).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from indexer.clients.evm.asking.calls import Limits, Plan, RangeTimedOut
from indexer.clients.evm.endpoints.attempts import Attempts, Behind, Standoff
from indexer.clients.evm.endpoints.counts import Counts
from indexer.clients.evm.endpoints.endpoint import Endpoint, Terms, another_genesis
from indexer.clients.evm.endpoints.health import Wellness
from indexer.clients.evm.endpoints.hedging import Hedging
from indexer.clients.evm.endpoints.late import Latecomers
from indexer.clients.evm.endpoints.race import DENIALS, ILLS, Race
from indexer.clients.evm.endpoints.roster import Roster
from indexer.clients.evm.endpoints.standing import asked_to_wait, hoped_for, nobody, troubles
from indexer.domain.chain import BlockHash
from indexer.domain.health.status import EndpointTrouble
from indexer.errors import BadAnswer, IndexerError, WrongChain

T = TypeVar("T")

NEVER: Final = float("inf")
"""As `hedge_seconds`: for work that can wait, and would only be done twice."""

_ASKED_TO_WAIT_SECONDS: Final = 2.5
"""Who asks for a pause does answer: that it lasts is told after so long."""


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
        self._endpoints = tuple(endpoints)
        self._roster = Roster(self._endpoints, late=lambda: self.late)
        self.health = Wellness(
            chain=chain, counts=counts, is_alone=self._roster.is_alone, clock=clock, sleep=sleep, chance=chance
        )
        self.health.chain_id = chain_id
        self._counts = counts
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self.genesis: BlockHash | None = None
        """Of our chain, once that is known."""
        self.clock = clock
        self._chance = chance
        self._last = self._endpoints[0]
        self._hedging = Hedging()
        self._standoff = Standoff()
        self.late = Latecomers(self.health)
        for endpoint in self._endpoints:
            counts.on_health(endpoint.name, "well")
            counts.on_pace(endpoint.name, endpoint.pace.calls_per_second)

    def __len__(self) -> int:
        return len(self._endpoints)

    @property
    def name(self) -> str:
        """The endpoint that answered last."""
        return self._last.name

    @property
    def last(self) -> Endpoint:
        """The endpoint that answered last."""
        return self._last

    @property
    def chain_id(self) -> int | None:
        """Which chain every endpoint has to follow, once that is known."""
        return self.health.chain_id

    @chain_id.setter
    def chain_id(self, chain_id: int) -> None:
        self.health.chain_id = chain_id

    def expect(self, genesis: BlockHash) -> None:
        """From now on every endpoint has to show that its chain begins with this block."""
        self.genesis = genesis
        for endpoint in self._endpoints:
            if endpoint.genesis != genesis:
                endpoint.genesis, endpoint.is_proven = genesis, False
            if endpoint.begins not in (None, genesis):
                self.health.lose(endpoint, another_genesis(endpoint.begins, genesis))

    @property
    def outage(self) -> str | None:
        """Why nobody can be asked, endpoint by endpoint; nothing while one of them is well."""
        return None if any(endpoint.is_well for endpoint in self._endpoints) else str(nobody(self._endpoints))

    @property
    def is_asked_to_wait(self) -> bool:
        """Whether each of them answered that it may not be asked for some time."""
        return asked_to_wait(self._endpoints)

    @property
    def troubles(self) -> tuple[EndpointTrouble, ...]:
        """Those that are not well, and why."""
        return troubles(self._endpoints)

    @property
    def every(self) -> tuple[Endpoint, ...]:
        """All of them, in order of preference, whether well or not."""
        return self._endpoints

    @property
    def able(self) -> tuple[Endpoint, ...]:
        """Those that are well, in order of preference."""
        return self._roster.able

    @property
    def hoped_for(self) -> tuple[Endpoint, ...]:
        """Those that are lost, and may be back soon."""
        return hoped_for(self._endpoints, self.clock())

    async def ask(
        self,
        make: Callable[[Limits], Plan[T]],
        *,
        timeout_seconds: float | None = None,
        patience_seconds: float | None = None,
        rest_seconds: float | None = None,
        hedge_seconds: float | None = None,
        rather_not: str | None = None,
    ) -> T:
        """Answer the question that `make` puts for given limits, by the best endpoint that can.

        `BlockUnknown`, `StateMissing` and `TakenApart` are raised once every healthy endpoint said so; `Unheard` when
        it was all but one, which keeps us waiting longer than it may. Anything else that fails is tried elsewhere, or
        again, until patience ends. `rest_seconds` is how much of it to spend once
        all have failed; without it, all. After `hedge_seconds` (without it, as long as is unusual for a small
        question) the next endpoint is asked as well. Another one than `rather_not` is asked first.
        """
        patience = self._patience_seconds if patience_seconds is None else patience_seconds
        attempts = Attempts(self.clock() + patience, rest_seconds, rather_not)
        self._hedging.begins()
        while True:
            endpoint = self._roster.best(attempts)
            if endpoint is None:
                await self._wait(attempts)
                continue
            if endpoint.name in attempts.faults and attempts.again_at > self.clock():
                await self.health.news(attempts.again_at - self.clock())
                continue
            left = max(0.1, attempts.deadline - self.clock())
            timeout = min(timeout_seconds or self._timeout_seconds, left)
            terms = Terms(timeout, self.chain_id, urgent=hedge_seconds != NEVER)
            if hedge_seconds == NEVER or not self._roster.may_overtake(endpoint, attempts):
                winner = await self._alone(endpoint, make, terms, attempts)
            else:
                winner = await self._raced(endpoint, make, terms, attempts, hedge_seconds)
            if winner is not None:
                return self._answered(*winner, attempts)

    async def _alone(
        self, endpoint: Endpoint, make: Callable[[Limits], Plan[T]], terms: Terms, attempts: Attempts
    ) -> tuple[Endpoint, T] | None:
        try:
            return endpoint, await endpoint.ask(make, terms)
        except ILLS as error:
            self._failed(endpoint, error, attempts)
            return None

    async def _raced(
        self,
        first: Endpoint,
        make: Callable[[Limits], Plan[T]],
        terms: Terms,
        attempts: Attempts,
        hedge_seconds: float | None,
    ) -> tuple[Endpoint, T] | None:
        async def ask(endpoint: Endpoint) -> T:
            return await endpoint.ask(make, terms)

        race = Race(
            ask,
            attempts,
            roster=self._roster,
            hedging=self._hedging,
            hedge_seconds=hedge_seconds,
            late=self.late,
            failed=self._failed,
            hedged=self._counts.hedged,
            back=self.health.back,
        )
        return await race.won(first)

    async def survey(
        self, make: Callable[[Limits], Plan[T]], timeout_seconds: float, *, is_urgent: bool = False
    ) -> list[tuple[Endpoint, T]]:
        """The same question to every endpoint that is well, at once; those that fail are left out.

        Where it is urgent, those that are late have no longer than would be unusual.
        """
        able = self.able
        hurried = {*self.late} if is_urgent else set[str]()
        bounds = [
            min(timeout_seconds, self._hedging.unusual_seconds(each)) if each.name in hurried else timeout_seconds
            for each in able
        ]
        found = await asyncio.gather(
            *(each.ask(make, Terms(bound, self.chain_id)) for each, bound in zip(able, bounds, strict=True)),
            return_exceptions=True,
        )
        answers: list[tuple[Endpoint, T]] = []
        for endpoint, answer in zip(able, found, strict=True):
            if not isinstance(answer, BaseException):
                answers.append((endpoint, answer))
            elif not isinstance(answer, IndexerError):
                raise answer
        return answers

    def set_aside(self, name: str, error: IndexerError, seconds: float) -> None:
        """It contradicted another one, or itself; nothing is done where there is nobody else to ask."""
        able = self.able
        for endpoint in able if len(able) > 1 else ():
            if endpoint.name == name:
                self.health.set_aside(endpoint, error, seconds)

    async def close(self) -> None:
        await self.late.close()
        await self.health.close()
        for endpoint in self._endpoints:
            await endpoint.wire.disconnect()

    # --- how it went ----------------------------------------------------------------------------------------------

    def _answered(self, endpoint: Endpoint, answer: T, attempts: Attempts) -> T:
        for other in self._endpoints:
            if isinstance(denial := attempts.denials.get(other.name), RangeTimedOut):
                self.health.judge(other, denial)
        self.health.answered(endpoint, self._roster.lacking(attempts))
        if endpoint is not self._last:
            self._last = endpoint
            self._counts.switched()
        return answer

    def _failed(self, endpoint: Endpoint, error: IndexerError, attempts: Attempts) -> None:
        """Go on with another endpoint, or later, unless the bounds are reached."""
        is_over = self.clock() >= attempts.deadline
        if isinstance(error, DENIALS):
            attempts.denials[endpoint.name] = error
            if endpoint.is_aside:
                attempts.aside.add(endpoint.name)
            if isinstance(error, Behind):
                self.health.set_aside(endpoint, error)
            return
        self.health.judge(endpoint, error)
        is_bad = isinstance(error, BadAnswer)
        if endpoint.is_well or is_bad:
            attempts.faults[endpoint.name] += 1
        if endpoint.is_well and self._roster.is_alone(endpoint):
            attempts.stumbled(self.clock(), self._chance())
            is_over = is_over or attempts.again_at >= attempts.deadline
        if is_over and (attempts.all_failed or not is_bad):
            self.health.lose(endpoint, error)
        if is_bad and (is_over or attempts.has_too_many_faults(len(self))):
            raise error
        if is_over:
            raise nobody(self._endpoints) from error

    async def _wait(self, attempts: Attempts) -> None:
        """Until an endpoint is back, or patience ends; not at all when those that are well said no."""
        if attempts.denials:
            raise attempts.last_word(self._standoff, self.clock())
        attempts.fail_soon(self.clock(), _ASKED_TO_WAIT_SECONDS if self.is_asked_to_wait else 0.0)
        left = attempts.deadline - self.clock()
        problem = nobody(self._endpoints)
        if left <= 0 or isinstance(problem, WrongChain):
            # A wrong chain is a wrong setting, which waiting does not mend.
            raise problem
        await self.health.news(left)
