"""What queries about accounts read, and how their facts fold into it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from indexer.domain.accounts.amounts import AccountKey, AssetBalance, AssetKey, Slot
from indexer.domain.accounts.facts import AccountCause, AssetUpdated


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


def account_record(fact: AssetUpdated, seq: int, time: datetime) -> AccountRecord:
    return AccountRecord(fact.account, fact.held, fact.change, fact.cause, seq, time)
