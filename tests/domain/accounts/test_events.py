"""The words in which facts about accounts are told."""

from __future__ import annotations

from decimal import Decimal

from indexer.domain.accounts.amounts import Amounts
from indexer.domain.accounts.arrivals import Funding, Position
from indexer.domain.accounts.facts import (
    AccountAlert,
    AccountStale,
    AssetChanged,
    AssetUpdated,
    FundingPaid,
    PositionUpdated,
)
from indexer.domain.recording.records import fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.events import EVENT_TYPES, fact_json
from tests.domain.accounts.builders import ACCOUNT, TIME, USDT, amounts, held


def test_an_updated_asset_names_account_wallet_asset_and_every_amount() -> None:
    fact = AssetUpdated(ACCOUNT, held("7.50"), amounts("5", "0", "5"), "rest")
    assert fact_json(fact) == {
        "exchange": "binance",
        "account": "main",
        "wallet": "spot",
        "asset": "USDT",
        "previousBalance": "5",
        "newBalance": "7.5",
        "changeAmount": "2.5",
        "free": "7.5",
        "used": "0",
        "total": "7.5",
        "debt": None,
        "measure": "wallet",
        "source": "rest",
        "venueTime": None,
        "receivedAt": "2026-11-21T01:02:03.456Z",
        "cause": "rest",
    }


def test_a_first_amount_has_neither_previous_nor_change() -> None:
    told = fact_json(AssetUpdated(ACCOUNT, held("7"), None, "first"))
    assert (told["previousBalance"], told["changeAmount"]) == (None, None)


def test_an_amount_that_the_venue_does_not_say_is_null_and_not_zero() -> None:
    assert amounts("3").balance == Decimal(3)
    assert Amounts().balance is None
    assert not Amounts().is_nothing
    assert amounts("0", None, "0").is_nothing


def test_a_change_is_told_with_its_percentage_where_there_was_something() -> None:
    assert fact_json(AssetChanged(ACCOUNT, USDT, Decimal(3), Decimal(4)))["changePercent"] == "33.3333"
    assert fact_json(AssetChanged(ACCOUNT, USDT, Decimal(0), Decimal(4)))["changePercent"] is None


def test_every_other_fact_is_told_under_its_own_type() -> None:
    funding = FundingPaid(ACCOUNT, Funding("f1", "BTC/USDT:USDT", "USDT", Decimal("-0.10"), TIME))
    position = PositionUpdated(ACCOUNT, Position("BTC/USDT:USDT", "long", Decimal("0.5")), TIME)
    alert = AccountAlert(ACCOUNT, "negative_balance", "error", "total is -1", *USDT)
    types = [EVENT_TYPES[type(fact)] for fact in (funding, position, alert, AccountStale(ACCOUNT, "silent"))]
    assert types == ["funding_fee", "position.updated", "account.alert", "stream.stale"]
    assert fact_json(funding)["amount"] == "-0.1"
    assert fact_json(position)["contracts"] == "0.5"
    assert fact_json(alert)["asset"] == "USDT"
    assert fact_json(AccountStale(ACCOUNT, "silent"))["block"] is None


def test_every_update_becomes_a_record_of_its_own() -> None:
    facts = (AssetUpdated(ACCOUNT, held("1"), None, "first"), AssetUpdated(ACCOUNT, held("2"), amounts("1"), "rest"))
    rows = fold([Commit("c", "exchange:binance:main", 4, TIME, facts)]).accounts.records
    assert [(row.seq, row.held.amounts.total) for row in rows] == [(4, Decimal(1)), (5, Decimal(2))]
    assert rows[1].change == 1
