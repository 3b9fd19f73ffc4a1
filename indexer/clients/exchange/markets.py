"""A venue's lists, loaded in a thread of their own: parsing 3,000 markets takes a second that nobody else has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial

import aiohttp

from indexer.clients.exchange.dialects.told import Exchange

Throttle = Callable[[float | None], Awaitable[None]]
Make = Callable[[aiohttp.ClientSession], Exchange]


class SharedLists:
    """Each venue's lists, loaded once for all who need them. One that fails is loaded again for the next who asks."""

    def __init__(self) -> None:
        self._loaded: dict[Hashable, Exchange] = {}
        self._loading: dict[Hashable, asyncio.Task[Exchange]] = {}
        """By venue and key."""

    async def of(self, venue: Hashable, load: Callable[[], Awaitable[Exchange]], *, key: Hashable = None) -> Exchange:
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
        return self._loaded[venue]

    async def close(self) -> None:
        for task in tuple(self._loading.values()):
            task.cancel()
        await asyncio.gather(*self._loading.values(), return_exceptions=True)

    def _over(self, name: Hashable, task: asyncio.Task[Exchange]) -> None:
        self._loading.pop(name, None)
        if not task.cancelled():
            task.exception()  # told to who still waits; asyncio would log it where nobody does

    async def _load(self, venue: Hashable, load: Callable[[], Awaitable[Exchange]]) -> Exchange:
        found = await load()
        return self._loaded.setdefault(venue, found)


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
