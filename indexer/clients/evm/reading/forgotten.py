"""State of old blocks that endpoints refuse in words which nobody has met, or which mean something else elsewhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from indexer.clients.evm.asking.calls import Limits, Plan, joined
from indexer.clients.evm.endpoints.contrast import Ask, Pair, refused_for_good
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


class Forgotten:
    """Asks for state; where that of an old block is refused for good, it is `StateMissing`, in the node's words."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._gone: tuple[int, IndexerError] | None = None
        """The highest block whose state was found to be gone, and what was said of it."""
        self._found_at = float("-inf")

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
        if self._endpoints.clock() - self._found_at > _REMEMBERED_SECONDS:
            self._gone = None
        asked = asyncio.ensure_future(self._endpoints.ask(make, hedge_seconds=hedge_seconds))
        try:
            # One that complains is asked ever more slowly, which may help; else it takes a minute until that ends.
            if await self._is_throttled(asked):
                if is_likely := self._gone is not None:
                    asked.cancel()  # each further refusal would slow down who asks for heads
                words = await self._words(lowest, about)
                if words is not None and (is_likely or not asked.done()):
                    raise StateMissing(str(words))
                if is_likely:
                    return await self._endpoints.ask(make, hedge_seconds=hedge_seconds)
            return await asked
        except (BadAnswer, NodeUnreachable, Throttled) as error:
            words = await self._words(lowest, about)
            if words is None:
                raise
            raise StateMissing(str(words)) from error
        finally:
            asked.cancel()
            await asyncio.wait((asked,))

    async def _words(self, block: KnownBlock, about: Callable[[KnownBlock], MakeAt]) -> IndexerError | None:
        """What is said of a block whose state is gone; nothing of any other."""
        if not self._says_something:
            return None
        if self._gone is not None and block.number <= self._gone[0]:
            return self._gone[1]
        make_at = about(block)

        async def pair(ask: Ask) -> Pair | None:
            asked = joined([header_of("eth_getBlockByNumber", each) for each in ("latest", hex(block.number))])
            newest, old = await ask(lambda _: asked)
            if old.hash != block.hash or old.number > newest.number - OLD_BLOCKS:
                return None
            return Pair(partial(make_at, old), partial(make_at, newest))

        before = None if self._gone is None else self._gone[1]
        # That it is too much just now is said in the same words each time: one turn of it says nothing.
        is_telling = before is not None and not isinstance(before, Throttled)
        words = await refused_for_good(self._endpoints, pair, 1) if is_telling else None
        if words is None or before is None or not _are_alike(words, before):
            words = await refused_for_good(self._endpoints, pair, TURNS)
        if words is not None and before is None:
            log.warning("state_forgotten", endpoint=self._endpoints.name, block=block.number, reason=str(words))
        if words is not None:
            self._gone, self._found_at = (block.number, words), self._endpoints.clock()
        return words

    @property
    def _newest(self) -> int:
        return max(self._endpoints.health.followed, *(each.head or 0 for each in self._endpoints.every))

    async def _is_throttled(self, asked: asyncio.Future[Any]) -> bool:
        """Whether what is asked is refused for a while already as too much; not before it is answered, or is not."""
        before, pause = self._complaints, _SOON_SECONDS if self._gone is None else _SOONER_SECONDS
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
