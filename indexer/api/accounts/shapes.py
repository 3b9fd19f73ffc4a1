"""The JSON shapes of exchange accounts; no shape has a place for credentials."""

from __future__ import annotations

from typing import Any

from indexer.api.shapes import course_json, records_json
from indexer.domain.accounts.amounts import AccountKey, Slot
from indexer.domain.accounts.arrivals import Funding, Permissions
from indexer.domain.accounts.events import account_json, asset_json, position_json, slot_json
from indexer.domain.accounts.records import AccountRecord, PositionRecord
from indexer.domain.accounts.registry import Account
from indexer.domain.accounts.stats import AssetStats, Point, mean
from indexer.domain.amounts import plain
from indexer.domain.health.standing import Standing
from indexer.domain.health.status import StreamStatus
from indexer.domain.measuring.stats import Statistics
from indexer.domain.times import time_text


def registered_json(account: Account, status: StreamStatus | None, permissions: Permissions | None) -> dict[str, Any]:
    return {
        "exchange": account.key.exchange,
        "name": account.key.name,
        "wallets": list(account.wallets),
        "sandbox": account.sandbox,
        "pollSeconds": account.poll_seconds,
        "source": account.source,
        "state": "starting" if status is None else status.state,
        "lastError": None if status is None else status.last_error,
        "warnings": warnings_of(permissions),
    }


def warnings_of(permissions: Permissions | None) -> list[str]:
    """What a key should not be able to do: reading is all that is asked of it."""
    if permissions is None:
        return []
    too_much = (("trade", permissions.can_trade), ("withdraw", permissions.can_withdraw))
    return [f"the key can {what}; one that can only read is enough" for what, can in too_much if can]


def account_balance_json(record: AccountRecord) -> dict[str, Any]:
    return {
        **account_json(record.account),
        **slot_json(record.slot),
        "balance": plain(record.held.amounts.balance),
        **asset_json(record.held),
        "timestamp": time_text(record.time),
        "seq": record.seq,
    }


def current_json(record: AccountRecord, standing: Standing) -> dict[str, Any]:
    """What it holds now, as far as is known."""
    return account_balance_json(record) | {"stale": standing.is_stale(record.account, record.slot)}


def account_record_json(record: AccountRecord) -> dict[str, Any]:
    """A row of history."""
    return account_balance_json(record) | {"changeAmount": plain(record.change), "cause": record.cause}


def asset_stats_json(account: AccountKey, slot: Slot, statistics: Statistics[AssetStats]) -> dict[str, Any]:
    """Nulls where there is nothing to count: absent is not zero."""
    course = statistics.course
    return {
        **account_json(account),
        **slot_json(slot),
        **records_json(statistics.records, plain),
        "timeWeightedAverage": None if course is None else plain(mean(course.average)),
        **course_json(course),
    }


def point_json(point: Point) -> dict[str, Any]:
    return {
        "time": time_text(point.time),
        "balance": plain(point.balance),
        "min": plain(point.minimum),
        "max": plain(point.maximum),
    }


def account_position_json(record: PositionRecord) -> dict[str, Any]:
    return {**account_json(record.account), **position_json(record.position), "time": time_text(record.time)}


def funding_json(account: AccountKey, funding: Funding) -> dict[str, Any]:
    return {
        **account_json(account),
        "id": funding.id,
        "symbol": funding.symbol,
        "asset": funding.asset,
        "amount": plain(funding.amount),
        "time": time_text(funding.time),
    }
