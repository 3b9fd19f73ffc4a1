"""Everything about an exchange account that can be told under a sequence number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from indexer.domain.accounts.amounts import AccountKey, Amounts, AssetBalance, Slot, Wallet, less
from indexer.domain.accounts.arrivals import Funding, Position

AccountCause = Literal["first", "stream", "rest", "refresh"]
Severity = Literal["info", "warning", "error"]

AlertKind = Literal[
    "negative_balance",
    "negative_free_balance",
    "hold_exceeds_balance",
    "source_inconsistency",
    "unrealistic_balance",
    "stale_data",
    "precision_overflow",
    "empty_answer",
    "authentication",
    "permissions",
    "breaker_open",
    "not_followed",
]
"""The seven rules of validation, and what else somebody should look at."""


@dataclass(frozen=True, slots=True)
class AssetUpdated:
    """The amounts in one slot differ from those told before; `previous` is nothing for the first ones."""

    account: AccountKey
    held: AssetBalance
    previous: Amounts | None
    cause: AccountCause

    @property
    def slot(self) -> Slot:
        return self.held.slot

    @property
    def change(self) -> Decimal | None:
        before = None if self.previous is None else self.previous.balance
        after = self.held.amounts.balance
        return None if before is None or after is None else less(after, before)


@dataclass(frozen=True, slots=True)
class AssetChanged:
    """A balance moved by more than the threshold since it was last told so."""

    account: AccountKey
    slot: Slot
    previous: Decimal
    balance: Decimal

    @property
    def change(self) -> Decimal:
        return less(self.balance, self.previous)


@dataclass(frozen=True, slots=True)
class FundingPaid:
    """A funding fee was paid or received."""

    account: AccountKey
    funding: Funding


@dataclass(frozen=True, slots=True)
class PositionUpdated:
    """A position was opened, changed or closed."""

    account: AccountKey
    position: Position
    time: datetime

    @property
    def symbol(self) -> str:
        return self.position.symbol


@dataclass(frozen=True, slots=True)
class AccountAlert:
    """Something that somebody should look at; what an `error` is about is not believed. `cleared`: it is over."""

    account: AccountKey
    kind: AlertKind
    severity: Severity
    detail: str
    wallet: Wallet | None = None
    asset: str | None = None
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class AccountStale:
    """What we know of the account may not hold any more: neither its stream nor its REST answers."""

    account: AccountKey
    reason: str


@dataclass(frozen=True, slots=True)
class AccountLive:
    """Well again after `AccountStale`."""

    account: AccountKey
    reason: str


AccountFact = AssetUpdated | AssetChanged | FundingPaid | PositionUpdated | AccountAlert | AccountStale | AccountLive
