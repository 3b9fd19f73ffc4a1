"""Records of exchange accounts as the documents of which docs/api.md shows the fields."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from bson import Decimal128, Int64

from indexer.domain.accounts.amounts import AccountKey, Amounts, AssetBalance, Slot
from indexer.domain.accounts.arrivals import Funding, Position
from indexer.domain.accounts.records import AccountRecord, BaselineRecord, FundingRecord, PositionRecord
from indexer.domain.amounts import plain

Document = dict[str, Any]

_NUMBERS: Final = ("contracts", "entryPrice", "markPrice", "unrealizedPnl", "leverage", "liquidationPrice")


def account_query(account: AccountKey) -> Document:
    return {"exchange": account.exchange, "account": account.name}


def slot_query(account: AccountKey, slot: Slot) -> Document:
    return {**account_query(account), "wallet": slot.wallet, "asset": slot.asset}


def account_row_of(record: AccountRecord) -> Document:
    """Amounts are strings with the venue's own digits; `amount` is the balance for queries, where it is exact."""
    free, used, total, debt = record.held.amounts
    return {
        **slot_query(record.account, record.slot),
        "free": _text(free),
        "used": _text(used),
        "total": _text(total),
        "debt": _text(debt),
        "amount": amount_of(record.held.amounts.balance),
        "measure": record.held.measure,
        "source": record.held.source,
        "receivedAt": record.held.received,
        "venueTime": record.held.venue_time,
        "changeAmount": _text(record.change),
        "cause": record.cause,
        "timestamp": record.time,
        "seq": Int64(record.seq),
    }


def account_record_of(row: Mapping[str, Any]) -> AccountRecord:
    return AccountRecord(
        account=AccountKey(row["exchange"], row["account"]),
        held=AssetBalance(
            slot=Slot(row["wallet"], row["asset"]),
            amounts=Amounts(*(_number(row[name]) for name in ("free", "used", "total", "debt"))),
            measure=row["measure"],
            source=row["source"],
            received=row["receivedAt"],
            venue_time=row["venueTime"],
        ),
        change=_number(row["changeAmount"]),
        cause=row["cause"],
        seq=int(row["seq"]),
        time=row["timestamp"],
    )


def position_row_of(record: PositionRecord) -> Document:
    position = record.position
    numbers = (
        position.contracts,
        position.entry_price,
        position.mark_price,
        position.unrealized,
        position.leverage,
        position.liquidation_price,
    )
    return {
        **account_query(record.account),
        "symbol": position.symbol,
        "side": position.side,
        **{name: _text(number) for name, number in zip(_NUMBERS, numbers, strict=True)},
        "marginMode": position.margin_mode,
        "timestamp": record.time,
        "seq": Int64(record.seq),
    }


def position_record_of(row: Mapping[str, Any]) -> PositionRecord:
    contracts, entry, mark, unrealized, leverage, liquidation = (_number(row[name]) for name in _NUMBERS)
    position = Position(
        symbol=row["symbol"],
        side=row["side"],
        contracts=contracts or Decimal(0),
        entry_price=entry,
        mark_price=mark,
        unrealized=unrealized,
        leverage=leverage,
        liquidation_price=liquidation,
        margin_mode=row["marginMode"],
    )
    return PositionRecord(AccountKey(row["exchange"], row["account"]), position, int(row["seq"]), row["timestamp"])


def funding_row_of(record: FundingRecord) -> Document:
    funding = record.fact.funding
    return {
        **account_query(record.fact.account),
        "id": funding.id,
        "symbol": funding.symbol,
        "asset": funding.asset,
        "amount": _text(funding.amount),
        "timestamp": funding.time,
        "seq": Int64(record.seq),
    }


def baseline_row_of(record: BaselineRecord) -> Document:
    return {
        **slot_query(record.account, record.slot),
        "balance": _text(record.balance),
        "seq": Int64(record.seq),
    }


def funding_of(row: Mapping[str, Any]) -> Funding:
    return Funding(row["id"], row["symbol"], row["asset"], Decimal(row["amount"]), row["timestamp"])


def amount_of(number: Decimal | None) -> Decimal128 | None:
    """Exact or absent: Decimal128 has 34 digits, and a rounded number is a lie in a column that people sum."""
    if number is None or not number.is_finite():
        return None
    text = plain(number) or "0"
    if len(text.strip("-").replace(".", "").strip("0")) > _DIGITS:
        return None
    return Decimal128(text)


_DIGITS: Final = 34


def _text(number: Decimal | None) -> str | None:
    """Every digit that the venue said, the zeros at the end too, and never an exponent: people and queries read it."""
    return None if number is None else f"{number:f}"


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
