"""The reads of an account: one at a time for each wallet, beside the inbox, when they are due and the venue is well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.breaker import Breaker
from indexer.domain.accounts.polling import Rhythm, ask_again
from indexer.errors import BadCredentials, IndexerError, Throttled

THROTTLED_SECONDS = 5.0
"""The pause where the venue asks for one and does not say how long."""

SUSPENDED_WALLET_SECONDS = 600.0
"""A wallet that the venue does not have, or not for this key, is asked for again now and then: keys get permissions."""

NEVER = float("inf")


@dataclass(slots=True)
class _Wallet:
    due: float = 0.0
    confirm: float = 0.0
    read_at: float = float("-inf")
    is_read: bool = False
    again: float = NEVER
    """When it has to be read once more, though it is being read: what made it due may not be in that answer."""
    doubts: int = 0
    unsupported: str | None = None


class Readings:
    """When each wallet is read next, and whether the venue may be asked at all."""

    def __init__(
        self,
        wallets: Collection[Wallet],
        *,
        start: Callable[[Wallet], None],
        rhythm: Rhythm,
        jitter: Callable[[], float],
    ) -> None:
        self._wallets = {wallet: _Wallet() for wallet in wallets}
        self._start = start
        self._rhythm = rhythm
        self._jitter = jitter
        self._clock = asyncio.get_running_loop().time
        self.breaker = Breaker()
        self.answers = 0
        self.failures = 0

    @property
    def unsupported(self) -> dict[Wallet, str]:
        return {wallet: one.unsupported for wallet, one in self._wallets.items() if one.unsupported is not None}

    def begin_due(self) -> None:
        """Start every read whose time has come; an open breaker lets exactly one probe through."""
        now = self._clock()
        for wallet, one in self._wallets.items():
            if one.is_read or one.due > now or self._is_held_back(one, now) or not self.breaker.allows(now):
                continue
            self.breaker = self.breaker.asked(now)
            one.is_read, one.again = True, NEVER
            self._start(wallet)

    def next_due(self) -> float:
        """When a read may begin; one that something else holds back is looked after at once."""
        now = self._clock()
        waits = (max(one.due, one.confirm if self._is_held_back(one, now) else 0.0) for one in self._idle())
        return min(waits, default=NEVER)

    def _idle(self) -> list[_Wallet]:
        return [one for one in self._wallets.values() if not one.is_read]

    def soon(self, wallet: Wallet, seconds: float = 0.0, *, pushed: bool = False) -> None:
        """Not later than so many seconds from now; `pushed`: counted from the last such call, within bounds."""
        one = self._wallets.get(wallet)
        if one is None:
            return
        now = self._clock()
        if pushed:
            # While frames keep coming, each later than the one before confirms it; once a while is confirmation enough.
            one.confirm = now + seconds
            seconds = max(seconds, one.read_at + self._rhythm.fast - now)
        else:
            one.confirm = min(one.confirm, now + seconds)
        one.due = min(one.due, now + seconds)
        if one.is_read:
            one.again = min(one.again, now + seconds)

    def later(self, wallet: Wallet, seconds: float) -> None:
        """Not before that, unless something else asks for it."""
        self._wallets[wallet].due = self._clock() + seconds

    def _is_held_back(self, one: _Wallet, now: float) -> bool:
        """Until it is quiet, but not for longer than an undisturbed wallet would wait."""
        return one.confirm > now and now - one.read_at < self._rhythm.slow

    def answered(self, wallet: Wallet, *, stream_talks: bool) -> None:
        one = self._wallets[wallet]
        one.is_read, one.unsupported = False, None
        self.answers += 1
        one.read_at = self._clock()
        usual = one.read_at + self._rhythm.next_after(stream_talks=stream_talks, jitter=self._jitter())
        one.due = min(usual, one.again)
        self.breaker = self.breaker.succeeded()

    def settled(self, wallet: Wallet, *, in_doubt: bool) -> None:
        """After a snapshot was merged: what it left open is asked again, with growing pauses."""
        one = self._wallets[wallet]
        one.doubts = one.doubts + 1 if in_doubt else 0
        if in_doubt:
            self.soon(wallet, ask_again(one.doubts))

    def is_in_doubt(self, wallet: Wallet) -> bool:
        return self._wallets[wallet].doubts > 0

    def failed(self, wallet: Wallet, error: IndexerError) -> None:
        now, one = self._clock(), self._wallets[wallet]
        one.is_read = False
        self.failures += 1
        one.due = now + self._rhythm.next_after(stream_talks=False, jitter=self._jitter())
        self.breaker = after(self.breaker, error, now, self._jitter())

    def cannot(self, wallet: Wallet, reason: str) -> None:
        one = self._wallets[wallet]
        one.is_read, one.unsupported = False, reason
        self.failures += 1
        one.due = self._clock() + SUSPENDED_WALLET_SECONDS
        self.breaker = self.breaker.succeeded()

    def resume(self) -> None:
        """A person asks for it: one attempt more, even with credentials that were refused."""
        if self.breaker.state == "suspended":
            self.breaker = Breaker()


def after(breaker: Breaker, error: IndexerError, now: float, jitter: float) -> Breaker:
    """What a failed question does to the breaker."""
    match error:
        case BadCredentials():
            return breaker.refused(str(error))
        case Throttled(retry_after_seconds=seconds):
            return breaker.throttled(now, THROTTLED_SECONDS if seconds is None else seconds, str(error))
        case _:
            return breaker.failed(now, str(error), jitter)
