"""One endpoint: what it takes at once, how fast it may be asked, whether it follows our chain, and how well it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import structlog

from indexer.clients.evm.asking.answers import head_of, quantity
from indexer.clients.evm.asking.calls import Call, Limits, Plan, RangeTimedOut, Reply, TakenApart, TooMuch, trips
from indexer.clients.evm.asking.courier import NoAnswer
from indexer.clients.evm.asking.provenance import Fact, OtherBlock
from indexer.clients.evm.asking.wording import CallFailed, TimedOut, Unsupported
from indexer.clients.evm.endpoints.calibration import Calibration
from indexer.clients.evm.endpoints.counts import Counts
from indexer.clients.evm.endpoints.growth import Growth
from indexer.clients.evm.endpoints.pace import Pace
from indexer.domain.chain import BlockHash
from indexer.errors import BadAnswer, BlockUnknown, IndexerError, StateMissing, Throttled, WrongChain

log = structlog.get_logger(__name__)

T = TypeVar("T")

_PROBE_SECONDS: Final = 3.0
_SHRINKS: Final = 16
_GROW_SECONDS: Final = 600.0
_GROW_LONGEST_SECONDS: Final = 6 * 3_600.0
_RECOVER_SECONDS: Final = 15.0
_RECOVER_LONGEST_SECONDS: Final = 300.0
"""After a hiccup all is as before within two minutes, and after an outage that came and went within some."""
_WEIGHT: Final = 0.2
"""Of the newest answer in what is usual."""


class Wire(Protocol):
    """What carries calls to one endpoint."""

    async def exchange(self, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]: ...

    async def disconnect(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a question is put; `urgent` ones go before those that can wait, not `paced` ones at once."""

    timeout_seconds: float
    chain_id: int | None = None
    urgent: bool = True
    paced: bool = True


@dataclass(slots=True)
class Endpoint:
    """Answers questions in as few round trips as it allows; its health is kept by `Health`."""

    name: str
    wire: Wire
    counts: Counts
    limits: Limits = field(default_factory=Limits)
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    is_well: bool = True
    is_aside: bool = False
    """It answers, but not what others know: it is asked after them."""
    is_proven: bool = False
    """It showed that it follows our chain."""
    genesis: BlockHash | None = None
    """Of our chain, once that is known: many test chains have the same id."""
    begins: BlockHash | None = None
    """The genesis that it told, when it was asked for that."""
    reason: IndexerError | None = None
    failures: int = 0
    in_a_row: int = 0
    """Failures since it answered last."""
    strikes: int = 0
    """How often it did not know a block that another one knew."""
    behind_since: float | None = None
    """Since when all surveys found it behind another one, and too far or for too long."""
    head: int | None = None
    """The newest block that it told, and `head_since` when it told that first."""
    head_since: float = 0.0
    stood_at: int | None = None
    """Its newest block when it was set aside: where others have a higher one, it has to get further."""
    well_since: float = 0.0
    ill_since: float = 0.0
    """When it was lost, or set aside; coming back for a moment only does not count."""
    aside_until: float = 0.0
    is_told: bool = False
    """Its loss was logged, so its return will be."""
    usual_seconds: float = 0.05
    complaints: int = 0
    """How often it asked us to slow down."""
    has_answered: bool = False
    takes_batches: bool = False
    """It has answered one."""
    calibration: Calibration = field(default_factory=Calibration)
    _growth: Growth = field(default_factory=lambda: Growth(_GROW_SECONDS, _GROW_LONGEST_SECONDS))
    _recovery: Growth = field(default_factory=lambda: Growth(_RECOVER_SECONDS, _RECOVER_LONGEST_SECONDS))
    _told_foreign: frozenset[Fact] = frozenset()

    def told_head(self, number: int) -> None:
        if number != self.head:
            self.head, self.head_since = number, self.clock()

    async def ask(self, make: Callable[[Limits], Plan[T]], terms: Terms) -> T:
        """Put the question that fits the limits, and a smaller one when that shows them to be lower."""
        self._grow()
        most = self.pace.most_at_once if terms.paced else None
        refused: TooMuch | None = None
        for _ in range(_SHRINKS):
            plan = make(self.limits)
            route = trips(plan.calls, self.limits, 1 if refused else most)
            if plan.together and len(route) > 1 and refused is None:
                raise TakenApart(f"{self.name} takes one call at a time")
            try:
                answer = await self._answer(plan, route, terms)
            except OtherBlock as problem:
                await self._excuse(problem, terms)
            except TooMuch as problem:
                if plan.together and problem.limit == "batch" and refused is None:
                    refused = problem
                else:
                    self._lower(problem)
            else:
                self._tell_pace(self.pace.went_well())
                if refused is None:
                    return answer
                # Each alone was no trouble: it is batches that it does not take.
                self._lower(refused)
                refused = None
        raise BadAnswer("refuses however little is asked at once")

    async def _answer(self, plan: Plan[T], route: Sequence[Sequence[Call]], terms: Terms) -> T:
        try:
            return plan.read([reply for trip in route for reply in await self._travel(trip, terms)])
        except TimedOut as problem:
            if any(call.of_range for call in plan.calls):
                raise RangeTimedOut(str(problem)) from problem
            self._took_long(problem, max(map(len, route)))
            raise
        except (Unsupported, CallFailed) as error:
            raise BadAnswer(str(error)) from error
        except Throttled:
            self._complained(terms)
            raise

    async def _excuse(self, problem: OtherBlock, terms: Terms) -> None:
        """It may mean something else by what contradicted, which says nothing then; otherwise the problem stands."""

        async def travel(calls: Sequence[Call]) -> list[Reply]:
            return [reply for trip in trips(calls, self.limits) for reply in await self._travel(trip, terms)]

        if not await self.calibration.excuses(problem, travel, self.clock(), self.limits.fitting):
            raise problem
        self.limits.doubted = foreign = self.calibration.foreign
        if not foreign <= self._told_foreign:
            self._told_foreign |= foreign
            log.info("facts_not_compared", endpoint=self.name, facts=sorted(foreign))

    def _forget_facts(self) -> None:
        self.calibration.forget()
        self.limits.doubted = frozenset()

    def _complained(self, terms: Terms) -> None:
        self.complaints += 1
        if terms.paced:  # else nobody counted how fast it was asked
            self._tell_pace(self.pace.complained())

    def acquit(self) -> None:
        """What it refused lately was neither too much nor too fast: it would refuse it anyhow."""
        self.limits.overrides = self.in_a_row = 0
        self._tell_pace(self.pace.forgive())

    async def probe(self, chain_id: int | None) -> int:
        """Whether it is of use again; its newest block.

        Singly, since not every endpoint takes batches; every other time at once where this one did, since each
        answer of a flaky one is one more that may fail.
        """
        asked = [Call("eth_blockNumber")]
        if chain_id is not None and self.takes_batches and self.failures % 2:
            return quantity((await self._proven(asked, chain_id, _PROBE_SECONDS))[0].get())
        if chain_id is not None:
            await self._prove_singly(chain_id, _PROBE_SECONDS)
        return quantity((await self._exchange(asked, _PROBE_SECONDS))[0].get())

    async def _travel(self, calls: Sequence[Call], terms: Terms) -> list[Reply]:
        """One round trip; the first of all also asks whether this is our chain."""
        wait = self.pace.reserve(len(calls), urgent=terms.urgent) if terms.paced else 0.0
        if wait > 0:
            await self.sleep(wait)
        if terms.chain_id is None or self.is_proven:
            return await self._exchange(calls, terms.timeout_seconds)
        if self.limits.batch == 1:
            await self._prove_singly(terms.chain_id, terms.timeout_seconds)
            return await self._exchange(calls, terms.timeout_seconds)
        return await self._proven(calls, terms.chain_id, terms.timeout_seconds)

    async def _proven(self, calls: Sequence[Call], chain_id: int, timeout_seconds: float) -> list[Reply]:
        """The answers, of one that shows at once whether it follows our chain."""
        genesis = self.genesis
        proof = _proof(genesis)
        replies = await self._exchange([*proof, *calls], timeout_seconds)
        self._prove(replies[: len(proof)], chain_id, genesis)
        return replies[len(proof) :]

    async def _prove_singly(self, chain_id: int, timeout_seconds: float) -> None:
        genesis = self.genesis
        replies = [(await self._exchange([call], timeout_seconds))[0] for call in _proof(genesis)]
        self._prove(replies, chain_id, genesis)

    async def _exchange(self, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]:
        began = self.clock()
        try:
            replies = await self.wire.exchange(calls, timeout_seconds)
        except IndexerError as error:
            self.counts.refused(self.name, calls, type(error).__name__, self.clock() - began)
            if isinstance(error, NoAnswer) and self.limits.ease(calls):
                self._eased(str(error))
            raise
        self.has_answered, self.takes_batches = True, self.takes_batches or len(calls) > 1
        seconds = self.clock() - began
        self.usual_seconds += _WEIGHT * (seconds - self.usual_seconds)
        self.counts.answered(self.name, calls, replies, seconds)
        return replies

    def _prove(self, replies: Sequence[Reply], chain_id: int, genesis: BlockHash | None) -> None:
        found = quantity(replies[0].get())
        if found != chain_id:
            raise WrongChain(f"follows chain {found}, not {chain_id}; correct chain_id or rpc_urls")
        if genesis is not None and (other := _genesis(replies[1])) not in (None, genesis):
            raise another_genesis(other, genesis)
        # Who comes back may be another node than before; and the genesis may have become known meanwhile.
        self.is_proven = genesis == self.genesis
        self._forget_facts()

    def _tell_pace(self, has_changed: bool) -> None:
        if has_changed:
            self.counts.on_pace(self.name, self.pace.calls_per_second)

    def _lower(self, problem: TooMuch) -> None:
        if not self.limits.lower(problem):
            raise problem
        log.debug("limit_lowered", endpoint=self.name, limit=problem.limit, reason=str(problem))
        self._growth.lowered(self.clock())

    def _took_long(self, problem: TimedOut, together: int) -> None:
        """Whoever asks again asks for less; nobody waits for that where another one is well."""
        if self.limits.ease_for(problem, together):
            self._eased(str(problem))

    def _eased(self, reason: str) -> None:
        limits = ",".join(sorted(self.limits.eased))
        log.debug("limit_lowered", endpoint=self.name, limit=limits, reason=reason)
        self._recovery.lowered(self.clock())

    def _grow(self) -> None:
        """Once in a while, try more again: a provider that was overburdened is so no longer, a plan was upgraded."""
        now = self.clock()
        if self.calibration.is_old(now):
            self._forget_facts()
        if self._recovery.is_due(now):
            self._recovery.grown(now, is_whole=not self.limits.recover())
        if self._growth.is_due(now):
            self._growth.grown(now, is_whole=not self.limits.grow())


def another_genesis(found: BlockHash | None, ours: BlockHash) -> WrongChain:
    return WrongChain(
        f"its genesis block is {found}, but this store has followed a chain with genesis {ours} under that"
        " id; correct rpc_urls, or use another database (store.database) or data_dir for the new chain"
    )


def _proof(genesis: BlockHash | None) -> list[Call]:
    """What shows whether an endpoint follows our chain."""
    proof = [Call("eth_chainId")]
    return proof if genesis is None else [*proof, Call("eth_getBlockByNumber", ["0x0", False])]


def _genesis(reply: Reply) -> BlockHash | None:
    """Nothing where the node has forgotten it: that speaks against nobody."""
    try:
        return head_of(reply.get()).hash
    except (BlockUnknown, StateMissing, Unsupported, CallFailed):
        return None
