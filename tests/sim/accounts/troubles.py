"""What befalls a venue as a whole, beside the dice of each answer and frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from indexer.demo.venue import Account, Venue
from indexer.demo.venue.faults import ANSWER_FAULTS
from tests.sim.accounts.life import Life

_RATE = 0.06


class Troubles:
    """Draws one now and then; all of them are over when the venue is calm."""

    def __init__(self, venue: Venue, random: Random) -> None:
        self._venue = venue
        self._random = random
        self._is_bad = random.choice((True, True, False))

    def happen(self) -> None:
        if self._is_bad and self._random.random() < _RATE:
            self._random.choice(self._all())()

    def _all(self) -> tuple[Callable[[], None], ...]:
        sockets = self._venue.sockets
        return (
            sockets.cut,
            sockets.half_close,
            lambda: sockets.mute(pings=True),
            lambda: sockets.mute(pings=False),
            lambda: sockets.mute(pings=True, lasting=True),
            self._refuse,
            self._outage,
        )

    def _refuse(self) -> None:
        """No socket opens for a while."""
        self._venue.sockets.refuse()
        self._venue.sockets.cut()
        asyncio.get_running_loop().call_later(self._random.uniform(1, 10), self._venue.sockets.admit)

    def _outage(self) -> None:
        """So many questions in a row fail in the same way."""
        fault = self._random.choice([each for each in ANSWER_FAULTS if each not in {"expired_key", "stale", "floats"}])
        # A venue that tells nothing but emptiness for half a minute is believed.
        most = 4 if fault == "empty_balances" else 8
        self._venue.once(fault, times=self._random.choice((2, 4, most)))


class Lock:
    """A key that the venue refuses for a while, in some stories; whoever opens it again asks for a refresh."""

    def __init__(self, venue: Venue, account: Account, seed: int, life: Callable[[], Life]) -> None:
        self._venue = venue
        self._account = account
        self._random = Random(f"lock {seed}")  # noqa: S311 - a story, not a secret: its seed must repeat it
        # An address is no key.
        self._is_due = account.exchange != "hyperliquid" and self._random.random() < 0.15
        self._life = life
        self._opens: float | None = None

    async def happen(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._opens is None and self._is_due and self._random.random() < 0.1:
            self._is_due = False
            self._venue.expire_key(self._account)
            self._opens = now + self._random.choice((0.1, 2, 20))
        elif self._opens is not None and now >= self._opens:
            await self.open()

    async def open(self) -> None:
        if self._opens is not None:
            self._opens = None
            self._venue.restore_key(self._account)
            await self._life().refresh()


class Clock:
    """The venue's clock is apart from ours, in some stories, and put forward now and then; none goes backwards."""

    def __init__(self, venue: Venue, seed: int) -> None:
        self._venue = venue
        self._random = Random(f"clock {seed}")  # noqa: S311 - a story, not a secret: its seed must repeat it
        self._is_ill = self._random.random() < 0.1
        self._apart = self._random.choice((-120_000, -4_000, 0, 4_000))
        if self._is_ill:
            venue.shift_clock(self._apart)

    def happen(self) -> None:
        if self._is_ill and self._random.random() < 0.05:
            self._apart += self._random.choice((4_000, 120_000))
            self._venue.shift_clock(self._apart)
