"""What a venue says of an account, in the order in which it reaches us.

`asked` and `received` are readings of one monotonic clock: the venue's own times are missing more often than not, and
two venues' clocks do not agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from indexer.domain.accounts.amounts import Amounts, Measure, Slot, Source, Wallet


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole wallet. `complete`: an asset that is not on it is not in the wallet.

    `asked` is when the question went out (for a stream's snapshot, when it came): what is older than it is in it.
    """

    wallet: Wallet
    amounts: Mapping[str, Amounts]
    measure: Measure
    source: Source
    asked: float
    received: float
    time: datetime
    venue_time: datetime | None = None
    complete: bool = True
    times: Mapping[str, datetime] = field(default_factory=dict)
    """The venue's times of single assets, where it says them; `venue_time` is that of all others."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(Slot(self.wallet, asset) for asset in self.amounts)

    def time_of(self, asset: str) -> datetime | None:
        return self.times.get(asset, self.venue_time)


@dataclass(frozen=True, slots=True)
class Updated:
    """Some assets of a wallet have these amounts now; what a frame leaves out is nothing in it, not zero."""

    wallet: Wallet
    amounts: Mapping[str, Amounts]
    measure: Measure
    received: float
    time: datetime
    venue_time: datetime | None = None
    times: Mapping[str, datetime] = field(default_factory=dict)
    asked: float | None = None
    """Where it is what a subscription begins with: that was not before this moment, and neither is what it says."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(Slot(self.wallet, asset) for asset in self.amounts)

    def time_of(self, asset: str) -> datetime | None:
        return self.times.get(asset, self.venue_time)


@dataclass(frozen=True, slots=True)
class Moved:
    """So much came or went, the venue does not say to what amount: a reason to ask, never something to add up."""

    slot: Slot
    change: Decimal
    received: float
    venue_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderMoved:
    """An order came, was filled or went: what it holds of this wallet is told by reads alone, a reason to ask."""

    wallet: Wallet


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The venue's stream talks: it was subscribed, and what it says from now on is complete."""

    wallets: frozenset[Wallet]


@dataclass(frozen=True, slots=True)
class StreamAlive:
    """A sign of life that says nothing of balances: a ping answered, a heartbeat."""


@dataclass(frozen=True, slots=True)
class StreamLost:
    """It is over for now, or not to be believed; the feed tries again by itself.

    Where wallets have streams of their own, `still` are those of which they are open.
    """

    reason: str
    still: frozenset[Wallet] = frozenset()


@dataclass(frozen=True, slots=True)
class Position:
    """An open position in a contract, as the venue gives it; flat when `contracts` is zero."""

    symbol: str
    side: Literal["long", "short", "flat"]
    contracts: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    unrealized: Decimal | None = None
    leverage: Decimal | None = None
    liquidation_price: Decimal | None = None
    margin_mode: str | None = None


@dataclass(frozen=True, slots=True)
class PositionsSeen:
    """Positions of a wallet; `complete`: what is not among them is flat.

    `asked` is when the question went out (for a frame, when it came): what is older than it is in it.
    """

    wallet: Wallet
    positions: tuple[Position, ...]
    asked: float
    received: float
    time: datetime
    complete: bool = True
    source: Source = "rest"
    venue_time: datetime | None = None
    times: Mapping[str, datetime] = field(default_factory=dict)
    """Of single positions, where the venue says when each changed."""

    def changed(self, symbol: str) -> datetime | None:
        return self.times.get(symbol, self.venue_time)


@dataclass(frozen=True, slots=True)
class Funding:
    """One funding payment: negative when it was paid, positive when it was received; `id` is the venue's."""

    id: str
    symbol: str
    asset: str
    amount: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class FundingsSeen:
    """All payments from when they were asked for `until` then; `is_all`: there are no newer ones yet."""

    fundings: tuple[Funding, ...]
    until: datetime
    is_all: bool = True


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a key may do, where the venue tells; nothing where it does not."""

    can_read: bool = True
    can_trade: bool | None = None
    can_withdraw: bool | None = None


Arrival = Snapshot | Updated | Moved | OrderMoved | StreamOpened | StreamAlive | StreamLost | PositionsSeen
