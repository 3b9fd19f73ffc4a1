"""A venue's lists, loaded in a thread of their own: parsing 3,000 markets takes a second that nobody else has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp

from indexer.clients.exchange.dialects.dialect import Exchange

Throttle = Callable[[float | None], Awaitable[None]]
Make = Callable[[aiohttp.ClientSession], Exchange]


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
