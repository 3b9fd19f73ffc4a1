"""A venue's lists, loaded in a thread of their own: parsing 3,000 markets takes a second that nobody else has.

They are loaded anew where an answer names what is not in them: a coin that was listed since would go by the venue's own
name for it, and by another one after a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from functools import partial
from typing import Final
from weakref import WeakSet

import aiohttp
from cachetools import TTLCache

from indexer.clients.exchange.dialects.told import Exchange
from indexer.clients.exchange.failures import translating
from indexer.clients.exchange.throttle import patient
from indexer.errors import IndexerError

RENEW_SECONDS: Final = 600.0
"""Not sooner are the lists of a venue loaded anew."""

COLLECT_SECONDS: Final = 2.0
"""What else comes by then is looked for in the same ones: an answer names many."""

UNKNOWN_SECONDS: Final = 86_400.0
"""A name that is not in the newest lists either (of what is staked, or of no market) is looked for once in so long."""

MOST_NAMES: Final = 1_000

Throttle = Callable[[float | None], Awaitable[None]]
Make = Callable[[aiohttp.ClientSession], Exchange]
Load = Callable[[], Awaitable[Exchange]]


class Lists:
    """Those of one venue, and what they lack."""

    def __init__(self, newest: Exchange) -> None:
        self.newest = newest
        self._clock = asyncio.get_running_loop().time
        self._due = self._clock() + RENEW_SECONDS
        self._borrowers: WeakSet[Exchange] = WeakSet()
        self._lacking: set[str] = set()
        """Names that came since they were loaded."""
        self._looked_for: TTLCache[str, bool] = TTLCache(MOST_NAMES, UNKNOWN_SECONDS, timer=self._clock)

    def lend(self, exchange: Exchange) -> None:
        exchange.set_markets_from_exchange(self.newest)
        self._borrowers.add(exchange)

    def must_renew(self, name: str) -> bool:
        """Whether they are to be loaded anew for it, by now."""
        if name in self._looked_for:
            return False
        if len(self._lacking) < MOST_NAMES:
            self._lacking.add(name)
        return self._clock() >= self._due

    def begin_anew(self) -> frozenset[str]:
        """The names that the next ones are loaded for."""
        self._due = self._clock() + RENEW_SECONDS
        return frozenset(self._lacking)

    def renewed(self, newest: Exchange, names: frozenset[str]) -> None:
        self.newest = newest
        self._looked_for.update(dict.fromkeys(names, True))
        self._lacking -= names
        for exchange in tuple(self._borrowers):
            exchange.set_markets_from_exchange(newest)


class SharedLists:
    """Each venue's lists, loaded once for all who need them. One that fails is loaded again for the next who asks."""

    def __init__(self) -> None:
        self._loaded: dict[Hashable, Lists] = {}
        self._loading: dict[Hashable, asyncio.Task[Exchange]] = {}
        """By venue and key."""
        self._renewing: dict[Hashable, asyncio.Task[None]] = {}

    async def of(self, venue: Hashable, load: Load, *, key: Hashable = None) -> Exchange:
        """Those of this venue. Where it asks for a `key`, nobody waits for what is told to another's.

        Of all keys those that are good load the same, and who comes later has what the first one got.
        """
        if venue not in self._loaded:
            task = self._loading.get((venue, key))
            if task is None:
                task = asyncio.ensure_future(self._load(venue, load))
                self._loading[venue, key] = task
                task.add_done_callback(partial(self._over, (venue, key)))
            await asyncio.shield(task)
        return self._loaded[venue].newest

    def lend(self, venue: Hashable, exchange: Exchange, load: Load) -> None:
        """It has those that are loaded, and those that will be: for a name that it meets and they lack, beside it."""
        self._loaded[venue].lend(exchange)
        exchange.unlisted = partial(self._miss, venue, load)

    async def close(self) -> None:
        tasks = (*self._loading.values(), *self._renewing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _miss(self, venue: Hashable, load: Load, name: str) -> None:
        if self._loaded[venue].must_renew(name) and venue not in self._renewing:
            # Not in the context of whoever met the name: that presses, and notes what it is answered.
            task = asyncio.get_running_loop().create_task(self._renew(venue, load), context=Context())
            self._renewing[venue] = task
            task.add_done_callback(partial(self._renewed, venue))

    async def _renew(self, venue: Hashable, load: Load) -> None:
        await asyncio.sleep(COLLECT_SECONDS)
        lists = self._loaded[venue]
        names = lists.begin_anew()
        try:
            with patient(), translating():
                newest = await load()
        except IndexerError:
            return  # the plan: what is there is good but for a few names, and for those it is tried again
        lists.renewed(newest, names)

    def _renewed(self, venue: Hashable, task: asyncio.Task[None]) -> None:
        self._renewing.pop(venue, None)
        if not task.cancelled():
            task.exception()  # the plan: after a while it is tried again

    def _over(self, name: Hashable, task: asyncio.Task[Exchange]) -> None:
        self._loading.pop(name, None)
        if not task.cancelled():
            task.exception()  # told to who still waits; asyncio would log it where nobody does

    async def _load(self, venue: Hashable, load: Load) -> Exchange:
        found = await load()
        return self._loaded.setdefault(venue, Lists(found)).newest


async def load_beside(make: Make, throttle: Throttle) -> Exchange:
    """An instance with the venue's markets; what is asked for them is counted by the caller's limiter, on its loop.

    Cancelled, it ends its thread as well.
    """
    caller = asyncio.get_running_loop()
    begun: asyncio.Future[Callable[[], object]] = caller.create_future()

    async def throttled(cost: float | None = None) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(throttle(cost)), caller))

    async def load() -> Exchange:
        own, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            caller.call_soon_threadsafe(_settle, begun, partial(own.call_soon_threadsafe, task.cancel))
        async with aiohttp.ClientSession() as session:
            exchange = make(session)
            exchange.throttler = throttled
            try:
                await exchange.load_markets()
            finally:
                await exchange.close()
        return exchange

    working = asyncio.ensure_future(asyncio.to_thread(asyncio.run, load()))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        end = await begun
        end()
        await asyncio.gather(working, return_exceptions=True)
        raise


async def _awaited(what: Awaitable[None]) -> None:
    await what


def _settle(future: asyncio.Future[Callable[[], object]], value: Callable[[], object]) -> None:
    if not future.done():
        future.set_result(value)
