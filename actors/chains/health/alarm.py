"""Tells once that there is no trustworthy head, and once that all is well again."""

from __future__ import annotations

from typing import Final

from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from actors.chains.health.health import Health
from indexer.domain.following.headchain import block_seconds
from indexer.domain.health.status import STALE_SECONDS
from indexer.domain.telling.facts import StreamLive, StreamStale

LONGEST_PATIENCE_SECONDS: Final = 60.0
"""On a chain that mines rarely, an answer that is missing for so long is told all the same."""


class Alarm:
    """`stream.stale` and `stream.live`, in turn; a chain without a block has nobody to alarm."""

    def __init__(self, *, chain_id: int, health: Health, ledger: Ledger, followed: Followed) -> None:
        self._chain_id = chain_id
        self._health = health
        self._ledger = ledger
        self._followed = followed
        self.is_stale = False
        """As clients were told last."""

    def patience(self) -> float:
        """How long an answer may take before that is told: three blocks' time."""
        return min(max(STALE_SECONDS, 3 * block_seconds(self._followed.known)), LONGEST_PATIENCE_SECONDS)

    def take_over(self) -> None:
        """What an earlier life told is not over before it is told to be."""
        self.is_stale = self._ledger.was_stale

    async def tell_stale(self, reason: str) -> None:
        tip = self._followed.tip
        if not self.is_stale and tip is not None:
            self.is_stale = True
            await self._ledger.commit((StreamStale(self._chain_id, reason, tip.number),), tip)

    async def tell_live(self) -> None:
        """If it was stale, and there is nothing left that speaks against it."""
        tip = self._followed.tip
        if self.is_stale and self._health.is_well and tip is not None:
            self.is_stale = False
            await self._ledger.commit((StreamLive(self._chain_id, "heads arrive again", tip.number),), tip)
