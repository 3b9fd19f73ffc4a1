"""Keeps work that can wait out of the way of work that cannot."""

from __future__ import annotations

import asyncio

LONGEST_SECONDS = 2.0
"""A chain that is busy for longer is catching up: then both take turns."""

REST_SECONDS = 0.001


class Quiet:
    """Live actors say when they are busy; others ask for a moment in which nobody is."""

    def __init__(self) -> None:
        self._busy: set[str] = set()
        self._calm = asyncio.Event()
        self._calm.set()
        self._heard = False

    def busy(self, who: str) -> None:
        self._busy.add(who)
        self._calm.clear()
        self._heard = True

    def idle(self, who: str) -> None:
        self._busy.discard(who)
        if not self._busy:
            self._calm.set()

    async def moment(self) -> None:
        """Return when nobody is busy; a little later where somebody was since the last time."""
        if not self._heard:
            await asyncio.sleep(0)
            return
        self._heard = bool(self._busy)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self._calm.wait()
                await asyncio.sleep(REST_SECONDS)
        except TimeoutError:
            return
