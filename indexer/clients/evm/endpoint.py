"""One endpoint: what it takes at once, whether it follows our chain, and how well it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import structlog

from indexer.clients.evm.answers import quantity
from indexer.clients.evm.calls import Call, Limits, Plan, Reply, TooMuch, trips
from indexer.clients.evm.counts import Counts
from indexer.clients.evm.wording import CallFailed, Unsupported
from indexer.errors import BadAnswer, IndexerError, WrongChain

log = structlog.get_logger(__name__)

T = TypeVar("T")

_PROBE_SECONDS: Final = 3.0
_SHRINKS: Final = 16


class Wire(Protocol):
    """What carries calls to one endpoint."""

    async def exchange(self, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]: ...

    async def disconnect(self) -> None: ...


@dataclass(slots=True)
class Endpoint:
    """Answers questions in as few round trips as it allows; its health is kept by `Endpoints`."""

    name: str
    wire: Wire
    counts: Counts
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

    async def ask(self, make: Callable[[Limits], Plan[T]], timeout_seconds: float, chain_id: int | None) -> T:
        """Put the question that fits the limits, and a smaller one when that shows them to be lower."""
        for _ in range(_SHRINKS):
            plan = make(self.limits)
            try:
                replies: list[Reply] = []
                for trip in trips(plan.calls, self.limits):
                    replies += await self._travel(trip, timeout_seconds, chain_id)
                return plan.read(replies)
            except TooMuch as problem:
                if not self.limits.lower(problem):
                    raise
                log.debug("limit_lowered", endpoint=self.name, limit=problem.limit, reason=str(problem))
            except (Unsupported, CallFailed) as error:
                raise BadAnswer(str(error)) from error
        raise BadAnswer("refuses however little is asked at once")

    async def probe(self, chain_id: int | None) -> None:
        """Whether it is of use again. Singly, since not every endpoint takes batches."""
        if chain_id is not None:
            self._prove((await self._exchange([Call("eth_chainId")], _PROBE_SECONDS))[0], chain_id)
        quantity((await self._exchange([Call("eth_blockNumber")], _PROBE_SECONDS))[0].get())

    async def _travel(self, calls: Sequence[Call], timeout_seconds: float, chain_id: int | None) -> list[Reply]:
        """One round trip; the first of all also asks whether this is our chain."""
        if chain_id is None or self.is_proven:
            return await self._exchange(calls, timeout_seconds)
        proof = Call("eth_chainId")
        if self.limits.batch == 1:
            self._prove((await self._exchange([proof], timeout_seconds))[0], chain_id)
            return await self._exchange(calls, timeout_seconds)
        first, *replies = await self._exchange([proof, *calls], timeout_seconds)
        self._prove(first, chain_id)
        return replies

    async def _exchange(self, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]:
        began = time.perf_counter()
        try:
            replies = await self.wire.exchange(calls, timeout_seconds)
        except IndexerError as error:
            self.counts.refused(self.name, calls, type(error).__name__, time.perf_counter() - began)
            raise
        self.counts.answered(self.name, calls, replies, time.perf_counter() - began)
        return replies

    def _prove(self, reply: Reply, chain_id: int) -> None:
        found = quantity(reply.get())
        if found != chain_id:
            raise WrongChain(f"follows chain {found}, not {chain_id}; correct chain_id or rpc_urls")
        self.is_proven = True
