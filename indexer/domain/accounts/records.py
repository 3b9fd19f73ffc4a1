"""What queries about accounts read, and how their facts fold into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from indexer.domain.accounts.amounts import AccountKey, AssetBalance, AssetKey, Slot
from indexer.domain.accounts.arrivals import Position
from indexer.domain.accounts.changes import measured_from
from indexer.domain.accounts.facts import (
    AccountCause,
    AccountFact,
    AssetChanged,
    AssetUpdated,
    FundingPaid,
    PositionUpdated,
)
from indexer.domain.accounts.fundings import Funded


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """The amounts of one slot after event number `seq` of the account's stream, told at `time`."""

    account: AccountKey
    held: AssetBalance
    change: Decimal | None
    cause: AccountCause
    seq: int
    time: datetime

    @property
    def slot(self) -> Slot:
        return self.held.slot

    @property
    def key(self) -> AssetKey:
        return AssetKey(self.account, self.held.slot)


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """The newest word on one position."""

    account: AccountKey
    position: Position
    seq: int
    time: datetime


@dataclass(frozen=True, slots=True)
class FundingRecord:
    """One funding payment; unique by account and the venue's id."""

    fact: FundingPaid
    seq: int


@dataclass(frozen=True, slots=True)
class BaselineRecord:
    """From what the next `balance.changed` of a slot is measured."""

    account: AccountKey
    slot: Slot
    balance: Decimal
    seq: int


@dataclass(slots=True)
class AccountProjection:
    """What to write about accounts: all of `records` are history, the last one of each slot is current."""

    records: list[AccountRecord] = field(default_factory=list)
    positions: dict[tuple[AccountKey, str], PositionRecord] = field(default_factory=dict)
    fundings: list[FundingRecord] = field(default_factory=list)
    baselines: dict[AssetKey, BaselineRecord] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.records or self.positions or self.fundings or self.baselines)

    def add(self, fact: AccountFact, seq: int, time: datetime) -> None:
        if isinstance(fact, AssetUpdated | AssetChanged) and (balance := measured_from(fact)) is not None:
            self.baselines[AssetKey(fact.account, fact.slot)] = BaselineRecord(fact.account, fact.slot, balance, seq)
        match fact:
            case AssetUpdated():
                self.records.append(AccountRecord(fact.account, fact.held, fact.change, fact.cause, seq, time))
            case PositionUpdated():
                self.positions[fact.account, fact.symbol] = PositionRecord(fact.account, fact.position, seq, fact.time)
            case FundingPaid():
                self.fundings.append(FundingRecord(fact, seq))
            case _:
                pass

    def current(self) -> dict[AssetKey, AccountRecord]:
        return {record.key: record for record in self.records}


@dataclass(frozen=True, slots=True)
class AccountBook:
    """What an account's actor goes on with after a restart: the newest of everything that was projected."""

    held: Mapping[Slot, AssetBalance] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    funded: Funded = field(default_factory=Funded)
    """The newest funding payments: the next question will be answered with them again."""
    baselines: Mapping[Slot, Decimal] = field(default_factory=dict)
    """From what changes are measured; a store of an earlier release has none."""
