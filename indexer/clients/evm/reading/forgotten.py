"""State of old blocks that endpoints refuse in words which nobody has met, or which mean something else elsewhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import structlog

from indexer.clients.evm.asking.calls import Limits, Plan, joined
from indexer.clients.evm.endpoints.contrast import Ask, Pair, Refusal, refused_for_good
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.judging.opinions import header_of
from indexer.clients.evm.reading.readings import Natives, readings
from indexer.domain.chain import Head, Holding, KnownBlock
from indexer.errors import BadAnswer, IndexerError, NodeUnreachable, StateMissing, Throttled

log = structlog.get_logger(__name__)

T = TypeVar("T")

MakeAt = Callable[[Head, Limits], Plan[Any]]
"""A question for given limits, put about one block or another."""

OLD_BLOCKS: Final = 8
"""A block that is nearer to the newest one may be refused because it is new, or about to be replaced."""
TURNS: Final = 4
_REMEMBERED_SECONDS: Final = 300.0
_SOON_SECONDS: Final = 2.0
_SOONER_SECONDS: Final = 0.1
"""Where others were gone a moment ago."""
_NAMED: Final = re.compile(r"0x[0-9a-fA-F]+|\d+")


class _Gone(NamedTuple):
    """State that was found to be gone: of this block and, it seems, of all below it."""

    block: int
    refusal: Refusal
    found_at: float


class Forgotten:
    """Asks for state; where that of an old block is refused for good, it is `StateMissing`, in the node's words."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._gone: _Gone | None = None

    async def ask(
        self,
        blocks: Collection[KnownBlock],
        make: Callable[[Limits], Plan[T]],
        about: Callable[[KnownBlock], MakeAt],
        *,
        hedge_seconds: float | None,
    ) -> T:
        """The answer; what a refusal means is told by a part of the question, which is `about` the lowest block."""
        lowest = min(blocks, key=lambda block: block.number)
        if lowest.number > self._newest - OLD_BLOCKS:
            return await self._endpoints.ask(make, hedge_seconds=hedge_seconds)
        if self._gone is not None and self._endpoints.clock() - self._gone.found_at > _REMEMBERED_SECONDS:
            self._gone = None
        asked = asyncio.ensure_future(self._endpoints.ask(make, hedge_seconds=hedge_seconds))
        try:
            refusal = await self._refused_meanwhile(asked, lowest, about)
            if refusal is None and asked.cancelled():
                asked = asyncio.ensure_future(self._endpoints.ask(make, hedge_seconds=hedge_seconds))
            if refusal is None or (asked.done() and not asked.cancelled()):
                return await asked
        except (BadAnswer, NodeUnreachable, Throttled):
            refusal = await self._refusal(lowest, about)
            if refusal is None:
                raise
        except StateMissing as error:
            # Those that are lost for strange words would say so as well.
            is_refused = any(isinstance(each.reason, BadAnswer) for each in self._endpoints.hoped_for)
            refusal = await self._refusal(lowest, about) if is_refused else None
            if refusal is None:
                raise self._missing(error) from error
        finally:
            asked.cancel()
            await asyncio.wait((asked,))
        raise self._missing(refusal.words, refusal.by)

    async def _refused_meanwhile(
        self, asked: asyncio.Future[Any], block: KnownBlock, about: Callable[[KnownBlock], MakeAt]
    ) -> Refusal | None:
        """One that complains is asked ever more slowly, which may help; else it takes a minute until that ends.

        Where others were gone a moment ago, this one probably is: each further refusal would slow down who asks for
        heads, and the question is called off.
        """
        if not await self._is_throttled(asked):
            return None
        if self._known is not None:
            asked.cancel()
            await asyncio.wait((asked,))
        return await self._refusal(block, about)

    async def _refusal(self, block: KnownBlock, about: Callable[[KnownBlock], MakeAt]) -> Refusal | None:
        """What is said of a block whose state is gone, and by whom; nothing of any other."""
        if not self._says_something:
            return None
        known = self._known
        if known is not None and block.number <= known.block:
            return known.refusal
        make_at = about(block)

        async def pair(ask: Ask) -> Pair | None:
            asked = joined([header_of("eth_getBlockByNumber", each) for each in ("latest", hex(block.number))])
            newest, old = await ask(lambda _: asked)
            if old.hash != block.hash or old.number > newest.number - OLD_BLOCKS:
                return None
            return Pair(partial(make_at, old), partial(make_at, newest))

        before = None if known is None else known.refusal.words
        # That it is too much just now is said in the same words each time: one turn of it says nothing.
        is_telling = before is not None and not isinstance(before, Throttled)
        refusal = await refused_for_good(self._endpoints, pair, 1) if is_telling else None
        if refusal is None or before is None or not _are_alike(refusal.words, before):
            refusal = await refused_for_good(self._endpoints, pair, TURNS)
        if refusal is not None:
            if self._gone is None:
                reason = str(refusal.words)
                log.warning("state_forgotten", endpoint=self._endpoints.name, block=block.number, reason=reason)
            self._gone = _Gone(block.number, refusal, self._endpoints.clock())
        return refusal

    @property
    def _known(self) -> _Gone | None:
        """What was found a moment ago; of no use once somebody may be asked who was not there then."""
        may_answer = {each.name for each in self._endpoints.every if each.is_well}
        return self._gone if self._gone is not None and may_answer <= self._gone.refusal.by else None

    def _missing(self, words: IndexerError, by: Collection[str] = ()) -> StateMissing:
        """Who is lost for a moment may have it, unless it was one of those that refuse it."""
        return StateMissing(str(words), tuple(each.name for each in self._endpoints.hoped_for if each.name not in by))

    @property
    def _newest(self) -> int:
        return max(self._endpoints.health.followed, *(each.head or 0 for each in self._endpoints.every))

    async def _is_throttled(self, asked: asyncio.Future[Any]) -> bool:
        """Whether what is asked is refused for a while already as too much; not before it is answered, or is not."""
        before, pause = self._complaints, _SOON_SECONDS if self._known is None else _SOONER_SECONDS
        while not asked.done():
            await asyncio.wait((asked,), timeout=pause)
            if self._complaints > before:
                break
        return not asked.done()

    @property
    def _complaints(self) -> int:
        return sum(each.complaints for each in self._endpoints.every)

    @property
    def _says_something(self) -> bool:
        """Whether one of them answers, if only by refusing."""
        return any(each.is_well or isinstance(each.reason, BadAnswer | Throttled) for each in self._endpoints.every)


def _are_alike(words: IndexerError, others: IndexerError) -> bool:
    """The same but for the blocks and hashes that they name."""
    return _NAMED.sub("", str(words)) == _NAMED.sub("", str(others))


def few_readings(coins: Natives, tokens: Collection[Holding]) -> MakeAt:
    few_coins, few_tokens = Natives(few(coins.holdings)), few(tokens)
    return lambda head, limits: readings(head, few_coins, few_tokens, limits)


def few(parts: Collection[Any]) -> list[Any]:
    """Enough to tell by whether they can be read; more might be too much."""
    return sorted(parts)[:4]
