"""The words in which facts about accounts are told."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from indexer.domain.accounts.amounts import AccountKey, AssetBalance, Slot
from indexer.domain.accounts.arrivals import Position
from indexer.domain.accounts.facts import (
    AccountAlert,
    AccountFact,
    AccountLive,
    AccountStale,
    AssetChanged,
    AssetUpdated,
    FundingPaid,
    PositionUpdated,
)
from indexer.domain.amounts import plain
from indexer.domain.measuring.course import percent
from indexer.domain.times import time_text

ACCOUNT_EVENT_TYPES = {
    AssetUpdated: "balance.updated",
    AssetChanged: "balance.changed",
    FundingPaid: "funding_fee",
    PositionUpdated: "position.updated",
    AccountAlert: "account.alert",
    AccountStale: "stream.stale",
    AccountLive: "stream.live",
}


def account_fact_json(fact: AccountFact) -> dict[str, Any]:
    data = account_json(fact.account)
    match fact:
        case AssetUpdated():
            data |= _updated(fact)
        case AssetChanged():
            data |= _changed(fact)
        case FundingPaid(funding=funding):
            data |= {"id": funding.id, "symbol": funding.symbol, "asset": funding.asset}
            data |= {"amount": plain(funding.amount), "time": time_text(funding.time)}
        case PositionUpdated():
            data |= {**position_json(fact.position), "time": time_text(fact.time)}
        case AccountAlert():
            data |= {"kind": fact.kind, "severity": fact.severity, "wallet": fact.wallet, "asset": fact.asset}
            data |= {"detail": fact.detail, "cleared": fact.cleared}
        case AccountStale() | AccountLive():
            data |= {"reason": fact.reason, "block": None}
    return data


def account_json(account: AccountKey) -> dict[str, Any]:
    return {"exchange": account.exchange, "account": account.name}


def slot_json(slot: Slot) -> dict[str, Any]:
    return {"wallet": slot.wallet, "asset": slot.asset}


def asset_json(held: AssetBalance) -> dict[str, Any]:
    """The amounts as the API and the events show them."""
    free, used, total, debt = held.amounts
    return {
        "free": plain(free),
        "used": plain(used),
        "total": plain(total),
        "debt": plain(debt),
        "measure": held.measure,
        "source": held.source,
        "venueTime": None if held.venue_time is None else time_text(held.venue_time),
        "receivedAt": time_text(held.received),
    }


def _updated(fact: AssetUpdated) -> dict[str, Any]:
    return {
        **slot_json(fact.slot),
        "previousBalance": None if fact.previous is None else plain(fact.previous.balance),
        "newBalance": plain(fact.held.amounts.balance),
        "changeAmount": plain(fact.change),
        **asset_json(fact.held),
        "cause": fact.cause,
    }


def _changed(fact: AssetChanged) -> dict[str, Any]:
    return {
        **slot_json(fact.slot),
        "previousBalance": plain(fact.previous),
        "newBalance": plain(fact.balance),
        "changeAmount": plain(fact.change),
        "changePercent": _percent(fact.change, fact.previous),
    }


def position_json(position: Position) -> dict[str, Any]:
    return {
        "symbol": position.symbol,
        "side": position.side,
        "contracts": plain(position.contracts),
        "entryPrice": plain(position.entry_price),
        "markPrice": plain(position.mark_price),
        "unrealizedPnl": plain(position.unrealized),
        "leverage": plain(position.leverage),
        "liquidationPrice": plain(position.liquidation_price),
        "marginMode": position.margin_mode,
    }


def _percent(change: Decimal, before: Decimal) -> str | None:
    """Of what was there before, to four digits; nothing where there was nothing."""
    return plain(percent(Fraction(change), Fraction(before)))
