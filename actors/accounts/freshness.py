"""Which wallets of an account are known as they are now, and which only as they were last heard of."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from indexer.domain.accounts.amounts import Wallet

MISSED_POLLS = 3
"""So many fast reads without an answer, where no stream talks: 15 s where one is read every 5 s."""


class Freshness:
    """When each wallet was last answered for, by a read or by a stream that talks."""

    def __init__(self, wallets: Iterable[Wallet], *, poll_seconds: float, now: float) -> None:
        self._answered: Mapping[Wallet, float] = dict.fromkeys(wallets, now)
        self.limit = MISSED_POLLS * poll_seconds

    def unknown(self) -> None:
        """Until the first answer comes: an earlier life said so, and nothing is better known now."""
        self._answered = dict.fromkeys(self._answered, -math.inf)

    def good(self, wallets: Iterable[Wallet], now: float) -> None:
        known = (wallet for wallet in wallets if wallet in self._answered)
        self._answered = {**self._answered, **dict.fromkeys(known, now)}

    def stale(self, now: float, unsupported: Collection[Wallet]) -> tuple[Wallet, ...]:
        """What cannot be read any more is as old as what nobody answers for."""
        return tuple(
            wallet
            for wallet, answered in self._answered.items()
            if wallet in unsupported or now - answered > self.limit
        )

    def next_stale(self, now: float) -> float:
        """When the next of them gets so old, unless somebody answers until then."""
        moments = (answered + self.limit for answered in self._answered.values())
        return min((moment for moment in moments if moment >= now), default=math.inf)
