"""What REST last said of each wallet: for those who ask again soon, or all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from cachetools import TTLCache

from indexer.domain.accounts.arrivals import Snapshot

ENTRIES: Final = 1000
SECONDS: Final = 300.0

Key = tuple[object, ...]
Read = Callable[[], Awaitable[Snapshot]]


class SnapshotCache:
    """The least recently used entry goes first, each after its time. A late answer never wins: `asked` counts."""

    def __init__(self, *, entries: int = ENTRIES, seconds: float = SECONDS) -> None:
        self._clock = asyncio.get_running_loop().time
        self._seconds = seconds
        self._kept: TTLCache[Key, Snapshot] = TTLCache(entries, seconds, timer=self._clock)
        self._flights: dict[Key, asyncio.Task[Snapshot]] = {}
        self._hits = self._misses = self._shared = 0

    async def recent(self, key: Key, max_age_seconds: float, read: Read) -> Snapshot:
        """What was asked for not longer ago than this, or a new answer; who asks meanwhile waits for the same one."""
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept.asked <= max_age_seconds:
            self._hits += 1
            return kept
        flight = self._flights.get(key)
        if flight is None:
            self._misses += 1
            flight = asyncio.create_task(self._fly(key, read), name=f"read {key[-1]}")
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        else:
            self._shared += 1
        return await asyncio.shield(flight)

    def kept(self, key: Key) -> Snapshot | None:
        return self._kept.get(key)

    def keep(self, snapshot: Snapshot, key: Key) -> None:
        """A newer answer; one that was asked for before the kept one is dropped."""
        kept = self._kept.get(key)
        if kept is None or snapshot.asked > kept.asked:
            self._kept[key] = snapshot

    def statistics(self) -> Mapping[str, Any]:
        asked = self._hits + self._misses + self._shared
        return {
            "entries": len(self._kept),
            "maxEntries": int(self._kept.maxsize),
            "ttlSeconds": self._seconds,
            "hits": self._hits,
            "misses": self._misses,
            "shared": self._shared,
            "hitRate": round((self._hits + self._shared) / asked, 4) if asked else None,
        }

    async def close(self) -> None:
        for flight in self._flights.values():
            flight.cancel()
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    async def _fly(self, key: Key, read: Read) -> Snapshot:
        snapshot = await read()
        self.keep(snapshot, key)
        return snapshot

    def _landed(self, key: Key, flight: asyncio.Task[Snapshot]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # whoever asked was told; nobody may be left
