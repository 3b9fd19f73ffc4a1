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
        self._earlier: Mapping[Wallet, float] = {}
        self.limit = MISSED_POLLS * poll_seconds

    def unknown(self) -> None:
        """Until the first answer comes: an earlier life said so, and nothing is better known now."""
        self._answered = dict.fromkeys(self._answered, -math.inf)

    def earlier(self, words: Mapping[Wallet, float]) -> None:
        """So old is what is shown of them until somebody answers: a start is no outage, but no answer either."""
        self._earlier = words

    def good(self, wallets: Iterable[Wallet], now: float) -> None:
        known = [wallet for wallet in wallets if wallet in self._answered]
        self._answered = {**self._answered, **dict.fromkeys(known, now)}
        if self._earlier:
            self._earlier = {wallet: word for wallet, word in self._earlier.items() if wallet not in known}

    def stale(self, now: float, unsupported: Collection[Wallet]) -> tuple[Wallet, ...]:
        """What cannot be read any more is as old as what nobody answers for."""
        return tuple(
            wallet
            for wallet, answered in self._answered.items()
            if wallet in unsupported or now - self._earlier.get(wallet, answered) > self.limit
        )

    def is_silent(self, now: float) -> bool:
        """Whether nobody has answered for any of them for so long, since the start at most."""
        return all(now - answered > self.limit for answered in self._answered.values())

    def next_stale(self, now: float) -> float:
        """When the next of them gets so old, unless somebody answers until then."""
        moments = (word + self.limit for word in (*self._answered.values(), *self._earlier.values()))
        return min((moment for moment in moments if moment >= now), default=math.inf)
