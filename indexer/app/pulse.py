"""Whether the store is well: for `/health`, and for those who do not wait for one that says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from indexer.errors import Permanent, StoreUnavailable

SILENT_SECONDS: Final = 2.0
"""A store that is merely slow answers a ping long before; a frozen one lets its driver wait for half a minute."""


PING_SECONDS: Final = 2.0
"""How often the store is asked whether it is well, for `/health`."""


class Pulse:
    """One ping at a time serves everybody who asks; one that is out for long already has told enough."""

    def __init__(self, ping: Callable[[], Awaitable[None]]) -> None:
        self._ping = ping
        self._asked: asyncio.Task[bool] | None = None
        self._asked_at = 0.0

    async def is_felt(self) -> bool:
        loop = asyncio.get_running_loop()
        if self._asked is None or self._asked.done():
            self._asked, self._asked_at = loop.create_task(self._answers()), loop.time()
        asked = self._asked
        await asyncio.wait((asked,), timeout=max(0.0, self._asked_at + SILENT_SECONDS - loop.time()))
        return asked.done() and not asked.cancelled() and asked.result()

    async def close(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.wait((self._asked,))

    async def _answers(self) -> bool:
        try:
            await self._ping()
        except (StoreUnavailable, Permanent):
            return False
        return True


async def watched(
    ping: Callable[[], Awaitable[None]], *, ill: Callable[[str | None], None], lost: Callable[[Permanent], None]
) -> None:
    """Until it is lost for good, `ill` is told again and again what is the matter with it, or nothing."""
    while True:
        try:
            await ping()
        except StoreUnavailable as error:
            ill(str(error))
        except Permanent as error:
            ill(str(error))
            lost(error)
            return
        else:
            ill(None)
        await asyncio.sleep(PING_SECONDS)
