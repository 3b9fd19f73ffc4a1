"""Whether an account's stream can be believed: it talks, it is open and dead, or it forgets to tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from indexer.domain.accounts.amounts import Slot, Wallet

DEAD_SECONDS: Final = 9.0
"""Without any sign of life for so long an open stream is dead: feeds answer pings or heartbeats every few seconds."""

LATE_SECONDS: Final = 3.0
"""A change that a read found may be told by the stream a moment later, or was told a moment before."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """The stream of one account. `expected`: changes that a read found first, and how long the stream may take."""

    open: frozenset[Wallet] = frozenset()
    sign_of_life: float = float("-inf")
    heard: Mapping[Slot, float] = field(default_factory=dict)
    expected: Mapping[Slot, float] = field(default_factory=dict)

    def opened(self, wallets: frozenset[Wallet], now: float) -> Hearing:
        return Hearing(wallets, now)

    def lost(self, still: frozenset[Wallet] = frozenset()) -> Hearing:
        """Of the wallets that are `still` told of nothing is lost."""
        left = self.open & still
        if not left:
            return Hearing()
        heard = {slot: moment for slot, moment in self.heard.items() if slot.wallet in left}
        expected = {slot: until for slot, until in self.expected.items() if slot.wallet in left}
        return Hearing(left, self.sign_of_life, heard, expected)

    def alive(self, now: float) -> Hearing:
        return replace(self, sign_of_life=now)

    def told(self, slots: Iterable[Slot], now: float) -> Hearing:
        named = dict.fromkeys(slots, now)
        expected = {slot: until for slot, until in self.expected.items() if slot not in named}
        return replace(self, sign_of_life=now, heard={**self.heard, **named}, expected=expected)

    def found(self, slots: Iterable[Slot], now: float) -> Hearing:
        """A read found that these changed: the stream should say so, or have said so just now."""
        late = {
            slot: now + LATE_SECONDS
            for slot in slots
            if slot.wallet in self.open and now - self.heard.get(slot, float("-inf")) > LATE_SECONDS
        }
        return replace(self, expected={**late, **self.expected}) if late else self

    def talks(self, now: float, wallet: Wallet | None = None) -> bool:
        is_open = bool(self.open) if wallet is None else wallet in self.open
        return is_open and not self.is_dead(now)

    def is_dead(self, now: float) -> bool:
        return bool(self.open) and now - self.sign_of_life > DEAD_SECONDS

    def next_doubt(self) -> float:
        """When it has to be looked after, unless it gives a sign of life or tells what it should until then."""
        dead = self.sign_of_life + DEAD_SECONDS if self.open else float("inf")
        return min((dead, *self.expected.values()))

    def forgotten(self, now: float) -> tuple[Slot, ...]:
        """What it should have told by now, and did not."""
        return tuple(slot for slot, until in self.expected.items() if until < now)
