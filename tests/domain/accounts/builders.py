"""Short names for what tests of accounts are about."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from indexer.domain.accounts.amounts import AccountKey, Amounts, AssetBalance, Slot

ACCOUNT = AccountKey("binance", "main")
USDT = Slot("spot", "USDT")
TIME = datetime(2026, 11, 21, 1, 2, 3, 456000, tzinfo=UTC)


def amounts(free: str | None = None, used: str | None = None, total: str | None = None) -> Amounts:
    return Amounts(*(None if text is None else Decimal(text) for text in (free, used, total)))


def held(total: str, slot: Slot = USDT) -> AssetBalance:
    return AssetBalance(slot, amounts(total, "0", total), "wallet", "rest", TIME)
