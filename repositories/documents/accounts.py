"""Commits of exchange accounts as documents: exact strings, and one table that knows every type of fact.

To add a type of fact: a pair of functions, and a line in `_TYPES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from bson import Int64

from indexer.domain.accounts.amounts import AccountKey, Amounts, AssetBalance, Slot
from indexer.domain.accounts.arrivals import Funding, Position
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
from indexer.domain.telling.commits import Commit

Document = dict[str, Any]


def account_commit_document(commit: Commit, account: AccountKey) -> Document:
    """The commit as the one document that is inserted; the account is written once for all facts."""
    return {
        "_id": commit.id,
        "stream": commit.stream,
        "firstSeq": Int64(commit.first_seq),
        "lastSeq": Int64(commit.last_seq),
        "time": commit.time,
        "checkpoint": None,
        "account": {"exchange": account.exchange, "name": account.name},
        "facts": [_encoded(fact) for fact in commit.facts],
    }


def account_commit_of(document: Mapping[str, Any]) -> Commit:
    account = AccountKey(document["account"]["exchange"], document["account"]["name"])
    return Commit(
        id=document["_id"],
        stream=document["stream"],
        first_seq=int(document["firstSeq"]),
        time=document["time"],
        facts=tuple(_DECODERS[fact["k"]](fact, account) for fact in document["facts"]),
    )


def amounts_document(amounts: Amounts) -> list[str | None]:
    """Strings: a venue's number may have more digits than a Decimal128."""
    return [None if amount is None else str(amount) for amount in amounts]


def amounts_of(document: list[str | None]) -> Amounts:
    return Amounts(*[None if text is None else Decimal(text) for text in document])


def balance_document(held: AssetBalance) -> Document:
    document: Document = {
        "w": held.slot.wallet,
        "a": held.slot.asset,
        "b": amounts_document(held.amounts),
        "m": held.measure,
        "s": held.source,
        "r": held.received,
    }
    if held.venue_time is not None:
        document["v"] = held.venue_time
    return document


def balance_of(document: Mapping[str, Any]) -> AssetBalance:
    return AssetBalance(
        slot=Slot(document["w"], document["a"]),
        amounts=amounts_of(document["b"]),
        measure=document["m"],
        source=document["s"],
        received=document["r"],
        venue_time=document.get("v"),
    )


# --- one pair of functions per type of fact --------------------------------------------------------------------------


def _encoded(fact: Any) -> Document:
    codec = _TYPES[type(fact)]
    return {"k": codec.tag, **codec.encode(fact)}


def _encode_updated(fact: AssetUpdated) -> Document:
    document = {**balance_document(fact.held), "c": fact.cause}
    if fact.previous is not None:
        document["p"] = amounts_document(fact.previous)
    return document


def _decode_updated(document: Document, account: AccountKey) -> AssetUpdated:
    previous = amounts_of(document["p"]) if "p" in document else None
    return AssetUpdated(account, balance_of(document), previous, document["c"])


def _encode_changed(fact: AssetChanged) -> Document:
    return {**_slot_document(fact.slot), "p": str(fact.previous), "b": str(fact.balance)}


def _decode_changed(document: Document, account: AccountKey) -> AssetChanged:
    return AssetChanged(account, _slot_of(document), Decimal(document["p"]), Decimal(document["b"]))


def _encode_funding(fact: FundingPaid) -> Document:
    funding = fact.funding
    return {
        "id": funding.id,
        "symbol": funding.symbol,
        "a": funding.asset,
        "b": str(funding.amount),
        "time": funding.time,
    }


def _decode_funding(document: Document, account: AccountKey) -> FundingPaid:
    return FundingPaid(
        account,
        Funding(document["id"], document["symbol"], document["a"], Decimal(document["b"]), document["time"]),
    )


_POSITION_NUMBERS: Final = (
    "contracts",
    "entry_price",
    "mark_price",
    "unrealized",
    "leverage",
    "liquidation_price",
)


def _encode_position(fact: PositionUpdated) -> Document:
    position = fact.position
    numbers = {name: getattr(position, name) for name in _POSITION_NUMBERS}
    return {
        "symbol": position.symbol,
        "side": position.side,
        "mode": position.margin_mode,
        "time": fact.time,
        "n": {name: str(number) for name, number in numbers.items() if number is not None},
    }


def _decode_position(document: Document, account: AccountKey) -> PositionUpdated:
    numbers = {name: Decimal(text) for name, text in document["n"].items()}
    position = Position(document["symbol"], document["side"], margin_mode=document["mode"], **numbers)
    return PositionUpdated(account, position, document["time"])


def _encode_alert(fact: AccountAlert) -> Document:
    return {
        "w": fact.wallet,
        "a": fact.asset,
        "kind": fact.kind,
        "severity": fact.severity,
        "detail": fact.detail,
        "cleared": fact.cleared,
    }


def _decode_alert(document: Document, account: AccountKey) -> AccountAlert:
    return AccountAlert(
        account,
        document["kind"],
        document["severity"],
        document["detail"],
        document["w"],
        document["a"],
        document["cleared"],
    )


def _encode_state(fact: AccountStale | AccountLive) -> Document:
    return {"reason": fact.reason}


def _decode_stale(document: Document, account: AccountKey) -> AccountStale:
    return AccountStale(account, document["reason"])


def _decode_live(document: Document, account: AccountKey) -> AccountLive:
    return AccountLive(account, document["reason"])


def _slot_document(slot: Slot) -> Document:
    return {"w": slot.wallet, "a": slot.asset}


def _slot_of(document: Mapping[str, Any]) -> Slot:
    return Slot(document["w"], document["a"])


class _Codec(NamedTuple):
    tag: str
    encode: Callable[[Any], Document]
    decode: Callable[[Document, AccountKey], AccountFact]


_TYPES: Final[dict[type[AccountFact], _Codec]] = {
    AssetUpdated: _Codec("asset", _encode_updated, _decode_updated),
    AssetChanged: _Codec("changed", _encode_changed, _decode_changed),
    FundingPaid: _Codec("funding", _encode_funding, _decode_funding),
    PositionUpdated: _Codec("position", _encode_position, _decode_position),
    AccountAlert: _Codec("alert", _encode_alert, _decode_alert),
    AccountStale: _Codec("stale", _encode_state, _decode_stale),
    AccountLive: _Codec("live", _encode_state, _decode_live),
}

_DECODERS: Final = {codec.tag: codec.decode for codec in _TYPES.values()}
