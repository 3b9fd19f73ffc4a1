"""Commits of exchange accounts come back exactly as they were written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

import bson
import pytest

from indexer.domain.accounts.amounts import Amounts, AssetBalance, Slot
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
from repositories.documents.codec import commit_document, commit_of
from tests.domain.accounts.builders import ACCOUNT, TIME, USDT, amounts, held

LONG = Decimal("123456789012345678901234567890.123456789012345678901234567890")
FACTS: tuple[AccountFact, ...] = (
    AssetUpdated(ACCOUNT, held("7.50"), amounts("5", None, "5"), "rest"),
    AssetUpdated(
        ACCOUNT,
        AssetBalance(Slot("margin", "BTC"), Amounts(None, None, LONG, Decimal("0E-8")), "equity", "stream", TIME, TIME),
        None,
        "first",
    ),
    AssetChanged(ACCOUNT, USDT, Decimal("1.0"), LONG),
    FundingPaid(ACCOUNT, Funding("f1", "BTC/USDT:USDT", "USDT", Decimal("-0.00000001"), TIME)),
    PositionUpdated(ACCOUNT, Position("BTC/USDT:USDT", "long", Decimal("0.5"), mark_price=Decimal("9.9")), TIME),
    AccountAlert(ACCOUNT, "negative_balance", "error", "total is -1", *USDT),
    AccountAlert(ACCOUNT, "authentication", "error", "the key is refused", cleared=True),
    AccountStale(ACCOUNT, "silent"),
    AccountLive(ACCOUNT, "talks again"),
)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_comes_back_as_it_was_written(fact: AccountFact) -> None:
    commit = Commit("id", "exchange:binance:main", 3, TIME, (fact,))
    stored: dict[str, Any] = bson.decode(bson.encode(commit_document(commit)), bson.CodecOptions(tz_aware=True))
    assert commit_of(stored) == commit


def test_an_amount_keeps_the_digits_that_the_venue_wrote() -> None:
    fact = AssetUpdated(ACCOUNT, held("7.50"), amounts("0E-8"), "rest")
    (stored,) = commit_of(commit_document(Commit("id", "s", 1, TIME, (fact,)))).facts
    assert str(stored) == str(fact)


def test_every_type_of_fact_about_an_account_has_a_codec() -> None:
    assert {type(fact) for fact in FACTS} == set(get_args(AccountFact))


def test_a_commit_holds_several_kinds() -> None:
    commit = Commit("id", "exchange:binance:main", 3, TIME, FACTS)
    assert commit_of(commit_document(commit)) == commit
