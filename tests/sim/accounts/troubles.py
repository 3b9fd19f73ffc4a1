"""What befalls a venue as a whole, beside the dice of each answer and frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from indexer.demo.venue import Venue
from indexer.demo.venue.faults import ANSWER_FAULTS

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
