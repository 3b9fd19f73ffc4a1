"""Which wallets of an account are known as they are now, and which only as they were last heard of."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from indexer.domain.accounts.amounts import Wallet

MISSED_POLLS: Final = 3
"""So many fast reads without an answer, where no stream talks: 15 s where one is read every 5 s."""

OWED_SECONDS: Final = 2.0
"""So long after its stream was lost what a wallet holds is taken to be as it was: a reconnect and one read are
quicker, unless the read has to wait for its turn."""


class _Debt(NamedTuple):
    """A read that is owed since `since`; it counts if it was asked at `asked` or later."""

    since: float
    asked: float


class Freshness:
    """When each wallet was last answered for: by a read, or by a stream that talks and was not lost since a read."""

    def __init__(self, wallets: Iterable[Wallet], *, poll_seconds: float, now: float) -> None:
        self._answered: Mapping[Wallet, float] = dict.fromkeys(wallets, now)
        self._earlier: Mapping[Wallet, float] = {}
        self._owed: Mapping[Wallet, _Debt] = {}
        self._read: frozenset[Wallet] = frozenset()
        """Those that were read in this life."""
        self.limit = MISSED_POLLS * poll_seconds

    def unknown(self) -> None:
        """Until the first answer comes: an earlier life said so, and nothing is better known now."""
        self._answered = dict.fromkeys(self._answered, -math.inf)

    def earlier(self, words: Mapping[Wallet, float]) -> None:
        """So old is what is shown of them until somebody answers: a start is no outage, but no answer either."""
        self._earlier = words

    # --- what comes in -----------------------------------------------------------------------------------------------

    def lost(self, wallets: Iterable[Wallet], now: float) -> None:
        """Nobody tells of them: what happens from now on is found by reading."""
        for wallet in wallets:
            owed = self._owed.get(wallet)
            since = now if wallet in self._read else math.inf  # a start is no outage
            self._owe(wallet, _Debt(since if owed is None else min(owed.since, since), now))

    def opened(self, wallets: Iterable[Wallet], now: float) -> None:
        """A stream tells what happens from now on, and not what happened before."""
        for wallet in wallets:
            owed = self._owed.get(wallet)
            self._owe(wallet, _Debt(math.inf if owed is None else owed.since, now))

    def read(self, wallet: Wallet, asked: float, now: float) -> None:
        """An answer to what left at `asked`."""
        if wallet not in self._answered:
            return
        self._read |= {wallet}
        owed = self._owed.get(wallet)
        if owed is not None and asked >= owed.asked:
            self._owed = {each: debt for each, debt in self._owed.items() if each != wallet}
        self._good((wallet,), now)

    def told(self, wallets: Iterable[Wallet], now: float) -> None:
        """The stream talks of them: that goes for those that were read since it does."""
        self._good([wallet for wallet in wallets if wallet in self._answered and wallet not in self._owed], now)

    def _owe(self, wallet: Wallet, debt: _Debt) -> None:
        if wallet in self._answered:
            self._owed = {**self._owed, wallet: debt}

    def _good(self, wallets: Collection[Wallet], now: float) -> None:
        self._answered = {**self._answered, **dict.fromkeys(wallets, now)}
        if self._earlier:
            self._earlier = {wallet: word for wallet, word in self._earlier.items() if wallet not in wallets}

    # --- what it says ------------------------------------------------------------------------------------------------

    def is_owed(self, wallet: Wallet) -> bool:
        """Whether a read is wanted before anything is known of what is in it now."""
        return wallet in self._owed or wallet not in self._read

    def owed(self, now: float, unsupported: Collection[Wallet] = ()) -> tuple[Wallet, ...]:
        """Those of which the last that was known has been shown for too long since their stream was lost."""
        return tuple(
            wallet
            for wallet in self._answered
            if wallet not in unsupported and wallet in self._owed and now - self._owed[wallet].since > OWED_SECONDS
        )

    def stale(self, now: float, unsupported: Collection[Wallet]) -> tuple[Wallet, ...]:
        """What cannot be read any more is as old as what nobody answers for."""
        owed = self.owed(now)
        return tuple(
            wallet
            for wallet, answered in self._answered.items()
            if wallet in unsupported or wallet in owed or now - self._earlier.get(wallet, answered) > self.limit
        )

    def is_silent(self, now: float) -> bool:
        """Whether nobody has answered for any of them for so long, since the start at most."""
        return all(now - answered > self.limit for answered in self._answered.values())

    def next_stale(self, now: float) -> float:
        """When the next of them gets so old, unless somebody answers until then."""
        words = (word + self.limit for word in (*self._answered.values(), *self._earlier.values()))
        debts = (debt.since + OWED_SECONDS for debt in self._owed.values())
        return min((moment for moment in (*words, *debts) if moment >= now), default=math.inf)
