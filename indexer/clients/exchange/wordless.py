"""401s that say nothing of the key: of the venue on this key, or of somebody in between on whoever asks."""

from __future__ import annotations

from typing import Final

from indexer.clients.exchange.dialects.told import Exchange
from indexer.clients.exchange.failures import translating
from indexer.errors import IndexerError

MANY: Final = 3
LONG_SECONDS: Final = 60.0
"""A refusal suspends an account until somebody acts: a hiccup is over by then."""


class Wordless:
    """Those of one account, as long as nothing else is answered to what it signs."""

    def __init__(self) -> None:
        self._count = 0
        self._since = 0.0

    def over(self) -> None:
        """Something else was answered."""
        self._count = 0

    def one_more(self, now: float) -> bool:
        """Whether there were so many, and for so long, that it is the key, if others are answered."""
        self._since = self._since if self._count else now
        self._count += 1
        return self._count >= MANY and now - self._since >= LONG_SECONDS


async def tells_its_time(exchange: Exchange) -> bool:
    """Whether the venue answers a question that nobody signs; not known of venues that have none of that kind."""
    if exchange.has.get("fetchTime") is not True:
        return False
    try:
        with translating(exchange):
            return bool(await exchange.fetch_time())
    except IndexerError:
        return False
