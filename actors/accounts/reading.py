"""The reads of an account: one at a time for each wallet, beside the inbox, when they are due and the venue is well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.breaker import Breaker
from indexer.domain.accounts.polling import (
    CONFIRM_SECONDS,
    DECIDE_SECONDS,
    SUSPICIOUS_SECONDS,
    Allowance,
    Rhythm,
    ask_again,
    try_again,
)
from indexer.errors import BadCredentials, IndexerError, Throttled

THROTTLED_SECONDS = 5.0
"""The pause where the venue asks for one and does not say how long."""

SUSPENDED_WALLET_SECONDS = 600.0
"""A wallet that the venue does not have, or not for this key, is asked for again now and then: keys get permissions."""

NEVER = float("inf")


@dataclass(slots=True)
class _Wallet:
    due: float = 0.0
    confirm: float = NEVER
    """When the newest frames are confirmed by a read."""
    repeated: float = -NEVER
    """The last such moment at which no read could begin, and the stream was asked instead."""
    allowance: Allowance = field(default_factory=Allowance)
    is_read: bool = False
    begun: float = -NEVER
    """When the newest read began."""
    answered: float = -NEVER
    again: float = NEVER
    """When it has to be read once more, though it is being read: what made it due may not be in that answer."""
    is_unsure: bool = False
    """One good answer is not enough: it may be older than what made us ask."""
    suspected_until: float = 0.0
    failures: int = 0
    own: Breaker = field(default_factory=Breaker)
    """For this wallet alone, while the venue answers for another one."""
    doubts: int = 0
    doubted: str | None = None
    """Why the newest answer was none."""
    was_read: bool = False
    is_refused: bool = False
    """The key was refused for this wallet, which was never read: for this one alone, or for all?"""
    unsupported: str | None = None


class Readings:
    """When each wallet is read next, and whether the venue may be asked at all."""

    def __init__(
        self,
        wallets: Collection[Wallet],
        *,
        start: Callable[[Wallet], None],
        repeat: Callable[[Wallet], None],
        rhythm: Rhythm,
        jitter: Callable[[], float],
    ) -> None:
        self._wallets = {wallet: _Wallet() for wallet in wallets}
        self._start = start
        self._repeat = repeat
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
        # The probe of a breaker is not the wallet that is ill by itself, as long as there is another.
        for wallet, one in sorted(self._wallets.items(), key=lambda each: each[1].failures):
            if one.is_read or min(one.due, one.confirm) > now or not self.breaker.allows(now):
                self._confirm_otherwise(wallet, one, now)
                continue
            self.breaker = self.breaker.asked(now)
            if one.confirm <= now:
                one.confirm, one.allowance = NEVER, one.allowance.at(now, self._rhythm.fast).less_one()
            one.is_read, one.begun, one.again = True, now, NEVER
            self._start(wallet)

    def _confirm_otherwise(self, wallet: Wallet, one: _Wallet, now: float) -> None:
        """A read that is under way may wait for its turn for long: then whoever can tells it over the stream."""
        if one.repeated < one.confirm <= now:
            one.repeated = one.confirm
            self._repeat(wallet)

    def next_due(self) -> float:
        """When a read may begin; one that the breaker holds back is looked after at once."""
        waits = (min(one.due, one.confirm) for one in self._wallets.values() if not one.is_read)
        others = (one.confirm for one in self._wallets.values() if one.is_read and one.repeated < one.confirm)
        return min((*waits, *others), default=NEVER)

    def soon(self, wallet: Wallet, seconds: float = 0.0) -> None:
        """Not later than so many seconds from now."""
        one = self._wallets.get(wallet)
        if one is None:
            return
        due = self._clock() + seconds
        one.due = min(one.due, due)
        if one.is_read:
            one.again = min(one.again, due)

    def at_once(self, wallet: Wallet) -> None:
        """As soon as may be, where every frame can be a reason: not more often than frames are confirmed."""
        one = self._wallets.get(wallet)
        if one is not None:
            self.soon(wallet, max(0.0, one.begun + CONFIRM_SECONDS - self._clock()))

    def untold(self, wallet: Wallet) -> None:
        """What no frame tells has changed: soon, but never sooner than where there is no stream."""
        one = self._wallets.get(wallet)
        if one is not None:
            self.soon(wallet, max(CONFIRM_SECONDS, one.begun + self._rhythm.fast - self._clock()))

    def decide(self, wallet: Wallet) -> None:
        """As soon as an answer would be believed whatever it says: a frame that may be late waits to be told."""
        one = self._wallets.get(wallet)
        if one is None:
            return
        if one.answered >= one.begun:
            self.soon(wallet, max(0.0, one.answered + DECIDE_SECONDS - self._clock()))
        else:
            self.at_once(wallet)

    def confirm(self, wallet: Wallet) -> None:
        """Frames came: a read is to agree with them once it is quiet, as far as the allowance goes."""
        one = self._wallets.get(wallet)
        if one is None:
            return
        now, wait = self._clock(), CONFIRM_SECONDS
        if now >= one.suspected_until:
            wait = max(wait, one.allowance.at(now, self._rhythm.fast).wait(self._rhythm.fast))
        one.confirm = now + wait

    def later(self, wallet: Wallet, seconds: float) -> None:
        """Not before that, unless something else asks for it."""
        self._wallets[wallet].due = self._clock() + seconds

    def doubt_next(self, wallet: Wallet) -> None:
        """The next answer may be older than what makes us ask: one more is wanted after it."""
        one = self._wallets.get(wallet)
        if one is not None:
            one.is_unsure = True

    def suspect(self, wallet: Wallet) -> None:
        """Something was not as it should be: two good answers are wanted, and more often for a while."""
        one = self._wallets.get(wallet)
        if one is not None:
            one.suspected_until, one.is_unsure = self._clock() + SUSPICIOUS_SECONDS, True

    def answered(self, wallet: Wallet, asked: float, *, stream_talks: bool, doubted: str | None = None) -> None:
        """By what left at `asked`: whatever made it due before that is in the answer.

        One that is `doubted` says that the venue is there, and nothing of the wallet.
        """
        one = self._wallets[wallet]
        one.is_read, one.unsupported, one.failures, one.own = False, None, 0, Breaker()
        one.was_read, one.is_refused, one.doubted = one.was_read or doubted is None, False, doubted
        if doubted is None:
            self.answers += 1
        else:
            self.failures += 1
        one.answered = now = self._clock()
        is_trusted = stream_talks and now >= one.suspected_until
        pause = self._rhythm.next_after(stream_talks=is_trusted, jitter=self._jitter())
        if one.is_unsure:
            one.is_unsure, pause = False, min(pause, CONFIRM_SECONDS)
        one.due = now + pause if one.again <= asked else min(now + pause, one.again)
        for other in self._wallets.values():
            if other.is_refused:
                other.is_refused, other.due = False, now
        self.breaker = self.breaker.succeeded()

    def settled(self, wallet: Wallet, *, in_doubt: bool) -> None:
        """After a snapshot was merged: what it left open is asked again, with growing pauses."""
        one = self._wallets[wallet]
        one.doubts = one.doubts + 1 if in_doubt else 0
        if in_doubt:
            one.is_unsure = False  # these pauses are its own
            self.soon(wallet, ask_again(one.doubts))

    def is_in_doubt(self, wallet: Wallet) -> bool:
        return self._wallets[wallet].doubts > 0

    @property
    def doubted(self) -> str | None:
        """Why the newest answer of some wallet was none, where it was."""
        return next((one.doubted for one in self._wallets.values() if one.doubted is not None), None)

    def failed(self, wallet: Wallet, error: IndexerError) -> None:
        now, one = self._clock(), self._wallets[wallet]
        one.is_read, one.doubted = False, None
        one.failures += 1
        self.failures += 1
        one.due = now + min(try_again(one.failures), self._rhythm.next_after(stream_talks=False, jitter=self._jitter()))
        self.suspect(wallet)
        if isinstance(error, BadCredentials) and self._may_be_alone(wallet):
            one.is_refused, one.due = True, now + SUSPENDED_WALLET_SECONDS  # or once another wallet is read
            self.breaker = self.breaker.succeeded()  # the venue answers: the others are asked what they think
            return
        well = [] if isinstance(error, BadCredentials | Throttled) else self._well_but(wallet)
        if well:
            witness = max(well, key=lambda each: each.begun)
            witness.due = min(witness.due, max(now, witness.begun + self._rhythm.fast))
        if well and self.breaker.state == "closed":
            one.own = one.own.failed(now, str(error), self._jitter())
            one.due = max(one.due, one.own.until)
        else:
            self.breaker = after(self.breaker, error, now, self._jitter())

    def is_paused(self, wallet: Wallet) -> bool:
        """Whether it alone is left alone for a while: the venue answers for others."""
        return self._wallets[wallet].own.pauses > 0

    def _well_but(self, wallet: Wallet) -> list[_Wallet]:
        """Those whose last read was answered; one of them is read now to tell an ill wallet from an ill venue."""
        others = (one for name, one in self._wallets.items() if name != wallet)
        return [one for one in others if one.was_read and not one.failures and one.unsupported is None]

    def is_refused_alone(self, wallet: Wallet) -> bool:
        """Whether a refusal concerns only this wallet: it was never read, and another one was, with the same key.

        Venues say the same of a key that is none and of one that lacks a permission (binance: -2015).
        """
        return not self._wallets[wallet].was_read and any(one.was_read for one in self._wallets.values())

    def _may_be_alone(self, wallet: Wallet) -> bool:
        """While another wallet has not said what it thinks of the key."""
        others = (one for name, one in self._wallets.items() if name != wallet)
        return not self._wallets[wallet].was_read and any(
            not one.is_refused and one.unsupported is None for one in others
        )

    def cannot(self, wallet: Wallet, reason: str) -> None:
        one = self._wallets[wallet]
        one.is_read, one.doubted, one.unsupported = False, None, reason
        self.failures += 1
        one.due = self._clock() + SUSPENDED_WALLET_SECONDS
        self.breaker = self.breaker.succeeded()

    def resume(self) -> None:
        """A person asks for it: one attempt more, even with credentials that were refused."""
        if self.breaker.state == "suspended":
            self.breaker = Breaker()
            for one in self._wallets.values():
                one.is_refused = False


def after(breaker: Breaker, error: IndexerError, now: float, jitter: float) -> Breaker:
    """What a failed question does to the breaker."""
    match error:
        case BadCredentials():
            return breaker.refused(str(error))
        case Throttled(retry_after_seconds=seconds):
            return breaker.throttled(now, THROTTLED_SECONDS if seconds is None else seconds, str(error))
        case _:
            return breaker.failed(now, str(error), jitter)
