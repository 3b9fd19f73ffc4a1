"""Waits for what nodes and actors answer on behalf of somebody who asked for it, and does not have all day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from indexer.errors import GivenUp

T = TypeVar("T")

LONGEST_SECONDS: Final = 12.0
"""With the store's part, whoever asks over HTTP has an answer within fifteen."""
DEAD_SECONDS: Final = 2.0
"""No endpoint can be asked for so long, and nobody waits for one to come back: one lost connection is no outage."""
_LOOK_SECONDS: Final = 0.25
_STOPS: Final = "the service stops"


class Waiting:
    """One bound for each wait, however many questions it takes; all end at once when the service does."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    def end(self) -> None:
        """Whoever waits is told so now, and nobody waits from now on."""
        self._over.set()

    async def unless_over(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to, which has a bound of its own, or `GivenUp` where the service ends before."""
        loop = asyncio.get_running_loop()
        task, over = loop.create_task(work), loop.create_task(self._over.wait())
        try:
            await asyncio.wait((task, over), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise GivenUp(_STOPS)
            return task.result()
        finally:
            over.cancel()
            task.cancel()

    async def answer(self, work: Coroutine[Any, Any, T], who: str, outage: Callable[[], str | None]) -> T:
        """What `work` comes to, or `GivenUp`; `outage` says why nobody can be asked, while that is so."""
        loop = asyncio.get_running_loop()
        task, over = loop.create_task(work), loop.create_task(self._over.wait())
        deadline = loop.time() + LONGEST_SECONDS
        dead_at: float | None = None
        try:
            while not task.done():
                now = loop.time()
                dead_at = None if outage() is None else now + DEAD_SECONDS if dead_at is None else dead_at
                if self._over.is_set():
                    raise GivenUp(_STOPS)
                if dead_at is not None and now >= dead_at:
                    raise GivenUp(f"no endpoint of {who} can be asked just now; /api/v1/status says why")
                if now >= deadline:
                    raise GivenUp(f"{who} has not answered this within {LONGEST_SECONDS:g} s")
                await asyncio.wait((task, over), timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return task.result()
        finally:
            over.cancel()
            task.cancel()


async def together(*work: Coroutine[Any, Any, T]) -> list[T]:
    """What each of them comes to; where one fails, the others end before that is told: nobody wants them any more."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
