"""What may be asked of a venue, shared by all who ask it: ccxt counts per instance, venues per address and per key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiolimiter import AsyncLimiter

SHARE: Final = 0.8
"""Of the venue's own limit: whoever else uses the address (a browser, a bot) has to live as well."""

BURST: Final = 0.2
"""So much of it may go at once. Burst and rate together stay below the limit in every window, sliding or fixed."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So much weight in so many seconds, as the venue counts it."""

    weight: float
    seconds: float


class Bucket:
    """One limit that is shared; a single request that weighs more than the burst waits for a full one."""

    def __init__(self, limit: Limit) -> None:
        burst = max(1.0, limit.weight * SHARE * BURST)
        rate = limit.weight * SHARE * (1 - BURST) / limit.seconds
        self._limiter = AsyncLimiter(burst, burst / rate)

    async def take(self, weight: float) -> None:
        most = self._limiter.max_rate
        while weight > 0:
            part = min(weight, most)
            await self._limiter.acquire(part)
            weight -= part


class Throttler:
    """In the place of ccxt's own: one account's requests, counted for its address and for its key."""

    def __init__(self, *buckets: Bucket, unit: float = 1.0) -> None:
        self._buckets = buckets
        self._unit = unit
        self.loop: object = None  # ccxt sets it

    async def __call__(self, cost: float | None = None) -> None:
        weight = (1.0 if cost is None else float(cost)) * self._unit
        for bucket in self._buckets:
            await bucket.take(weight)
