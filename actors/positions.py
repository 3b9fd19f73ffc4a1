"""How far every stream has been told, and how far queries can see."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from indexer.errors import StoreUnavailable

WAIT_SECONDS = 5.0
"""A projection of 5,000 records takes about half a second on 2 cores; past this, the store is ill."""


class Positions:
    """Written by the broadcaster and the projector, awaited by those who answer queries."""

    def __init__(self, told: Mapping[str, int], projected: Mapping[str, int]) -> None:
        self._told = dict(told)
        self._projected = dict(projected)
        self._moved = asyncio.Event()

    def told(self) -> Mapping[str, int]:
        return self._told

    def projected(self) -> Mapping[str, int]:
        return self._projected

    def tell(self, stream: str, seq: int) -> None:
        self._told[stream] = max(seq, self._told.get(stream, 0))

    def project(self, positions: Mapping[str, int]) -> None:
        for stream, seq in positions.items():
            self._projected[stream] = max(seq, self._projected.get(stream, 0))
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def caught_up(self) -> None:
        """Return once all that was told by now can be read."""
        goal = dict(self._told)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not self._reached(goal):
                    await self._moved.wait()
        except TimeoutError:
            raise StoreUnavailable(f"queries lag behind what was told for more than {WAIT_SECONDS} s") from None

    async def reached(self, stream: str, seq: int) -> None:
        """Return once this number can be read, however long that takes: for those whom nobody waits for."""
        while self._projected.get(stream, 0) < seq:
            await self._moved.wait()

    def _reached(self, goal: Mapping[str, int]) -> bool:
        return all(self._projected.get(stream, 0) >= seq for stream, seq in goal.items())
