"""What may be asked of a venue, shared by all who ask it: ccxt counts per instance, venues per address and per key."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from aiolimiter import AsyncLimiter

from indexer.clients.exchange.leaving import left
from indexer.clients.exchange.turns import Turns

SHARE: Final = 0.8
"""Of the venue's own limit: whoever else uses the address (a browser, a bot) has to live as well."""

BURST: Final = 0.2
"""So much of it may go at once. Burst and rate together stay below the limit in every window, sliding or fixed."""

SAVED_SECONDS: Final = 600.0
"""In so long what is not used is saved up to a whole share, to be spent at once where the venue tells what is used.

So 200 accounts are read within seconds of a start and not within a minute; who asks without end is paced as ever."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So much weight in so many seconds, as the venue counts it."""

    weight: float
    seconds: float
    burst: float = 0.0
    """So much more at once, where the venue lets a counter fill up instead of counting by the minute."""


class Cost(float):
    """What ccxt counts for a request, and where it is asked: `sapi`, `margin/account`."""

    __slots__ = ("api", "path")

    api: str
    path: str

    def __new__(cls, weight: float, api: str = "", path: str = "") -> Self:
        made = super().__new__(cls, weight)
        made.api, made.path = api, path
        return made


class Weighed(NamedTuple):
    """What a request takes, and of which of the venue's budgets; "" is the usual one, of most venues the only one."""

    family: str
    weight: float


_ROUNDING: Final = 1e-6

PATIENT_SECONDS: Final = 30.0
"""So long what can wait gives way to what cannot; then it has its turn like any other."""

_LOOK_SECONDS: Final = 0.05

_CAN_WAIT: Final[ContextVar[bool]] = ContextVar("can_wait", default=False)


@contextmanager
def patient() -> Iterator[None]:
    """What this task asks meanwhile can wait for what others ask: pages of payments for balances."""
    token = _CAN_WAIT.set(True)
    try:
        yield
    finally:
        _CAN_WAIT.reset(token)


class Gate:
    """Closed while the venue wants to be left alone, by everybody at this address, whatever else may be asked."""

    def __init__(self) -> None:
        self._closed_until = float("-inf")

    def close(self, seconds: float) -> None:
        self._closed_until = max(self._closed_until, _now() + seconds)

    async def passed(self) -> None:
        while self._closed_until > _now():  # noqa: ASYNC110 - closed for longer, perhaps, while this one slept
            await asyncio.sleep(self._closed_until - _now())


class Bucket:
    """One limit that is shared; a single request that weighs more than the burst waits for a full one."""

    def __init__(self, limit: Limit, gate: Gate | None = None) -> None:
        share = limit.weight * SHARE
        # What a counter takes at once comes on top of what it loses meanwhile; a window has one for both.
        burst = limit.burst * SHARE or max(1.0, share * BURST)
        rate = (share if limit.burst else share * (1 - BURST)) / limit.seconds
        self._paced = AsyncLimiter(burst, burst / rate)
        self._saved = AsyncLimiter(max(1.0, share), SAVED_SECONDS)
        self._window = Window(share + burst if limit.burst else max(share, burst), limit.seconds)
        self._turns = Turns()
        self._patience = asyncio.Lock()
        self._pressing = 0
        """Requests under way or in the queue that cannot wait."""
        self._gate = gate or Gate()

    async def take(self, weight: float) -> None:
        if _CAN_WAIT.get():
            async with self._patience:  # one at a time: who comes now waits for that one alone
                await self._give_way()
                await self._take_all(weight)
            return
        self._pressing += 1
        try:
            await self._take_all(weight)
        finally:
            self._pressing -= 1

    async def _give_way(self) -> None:
        until = _now() + PATIENT_SECONDS
        while self._pressing and _now() < until:  # noqa: ASYNC110 - what presses next may come right after
            await asyncio.sleep(_LOOK_SECONDS)

    async def _take_all(self, weight: float) -> None:
        async with self._turns.turn():
            while weight > 0:
                part = min(weight, self._paced.max_rate)
                await self._take(part)
                weight -= part

    def told(self, used: float) -> None:
        """The venue says how much of the limit is used by now, by whomever."""
        self._window.told(used, _now())

    async def _take(self, weight: float) -> None:
        # Without the venue's word the last life of this service may have spent what this one believes to have.
        if self._window.is_told(_now()) and self._saved.has_capacity(weight):
            await self._saved.acquire(weight)
        else:
            await self._paced.acquire(weight)
        await asyncio.sleep(self._window.pause(weight, _now()))
        await self._gate.passed()
        self._window.add(weight, _now())


class Window:
    """What was let go in the last so many seconds, and what the venue counted besides."""

    def __init__(self, most: float, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._gone: deque[tuple[float, float]] = deque()
        self._own = 0.0
        self._others = 0.0
        self._told_at = float("-inf")

    def told(self, used: float, now: float) -> None:
        """Others are given way to, but never all of it: they may ask without end."""
        self._forget(now)
        self._others = min(max(0.0, used - self._own), self._most * (1 - BURST))
        self._told_at = now

    def is_told(self, now: float) -> bool:
        return now - self._told_at < self._seconds

    def pause(self, weight: float, now: float) -> float:
        """How long until so much fits in."""
        self._forget(now)
        excess, fits = self._own + self._others + weight - self._most, now
        for moment, each in sorted([*self._gone, (self._told_at, self._others)]):
            if excess <= _ROUNDING:
                break
            if each:
                excess, fits = excess - each, max(fits, moment + self._seconds)
        return fits - now

    def add(self, weight: float, now: float) -> None:
        self._gone.append((now, weight))
        self._own += weight

    def _forget(self, now: float) -> None:
        while self._gone and self._gone[0][0] <= now - self._seconds:
            self._own -= self._gone.popleft()[1]
        if not self._gone:
            self._own = 0.0  # no rest of roundings
        if not self.is_told(now):
            self._others = 0.0


class Throttler:
    """In the place of ccxt's own: one account's requests, counted for its address and for its key.

    `buckets`: those of a family.
    """

    def __init__(self, weighed: Callable[[Cost], Weighed], buckets: Callable[[str], Iterable[Bucket]]) -> None:
        self._weighed = weighed
        self._buckets = buckets
        self.loop: object = None  # ccxt sets it

    async def __call__(self, cost: float | None = None) -> None:
        asked = cost if isinstance(cost, Cost) else Cost(1.0 if cost is None else cost)
        family, weight = self._weighed(asked)
        for bucket in self._buckets(family):
            await bucket.take(weight)
        left()


def _now() -> float:
    return asyncio.get_running_loop().time()
