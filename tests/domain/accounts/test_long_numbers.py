"""Whatever numbers a venue writes: every event about them can be written, and says no rounded number."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.accounts.amounts import Amounts, AssetBalance
from indexer.domain.accounts.arrivals import Funding, Position
from indexer.domain.accounts.changes import ChangeThreshold
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
from indexer.domain.accounts.stats import AssetTally, mean
from indexer.domain.accounts.validation import Exceptions, Thresholds, findings
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.events import event_json, fact_json
from tests.domain.accounts.builders import ACCOUNT, TIME, USDT, amounts

NUMBERS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=60).map(tuple),
    st.integers(-40, 40),
)
MAYBE = st.none() | NUMBERS
AMOUNTS = st.builds(Amounts, MAYBE, MAYBE, MAYBE, MAYBE)
HELD = st.builds(lambda found: AssetBalance(USDT, found, "wallet", "rest", TIME), AMOUNTS)
POSITIONS = st.builds(
    Position,
    st.just("BTC/USDT:USDT"),
    st.sampled_from(["long", "short", "flat"]),
    NUMBERS,
    entry_price=MAYBE,
    mark_price=MAYBE,
    unrealized=MAYBE,
    leverage=MAYBE,
    liquidation_price=MAYBE,
)
FACTS: dict[type[AccountFact], st.SearchStrategy[AccountFact]] = {
    AssetUpdated: st.builds(AssetUpdated, st.just(ACCOUNT), HELD, st.none() | AMOUNTS, st.just("rest")),
    AssetChanged: st.builds(AssetChanged, st.just(ACCOUNT), st.just(USDT), NUMBERS, NUMBERS),
    FundingPaid: st.builds(
        lambda amount: FundingPaid(ACCOUNT, Funding("f1", "BTC/USDT:USDT", "USDT", amount, TIME)), NUMBERS
    ),
    PositionUpdated: st.builds(PositionUpdated, st.just(ACCOUNT), POSITIONS, st.just(TIME)),
    AccountAlert: st.just(AccountAlert(ACCOUNT, "negative_balance", "error", "total is -1", *USDT)),
    AccountStale: st.just(AccountStale(ACCOUNT, "silent")),
    AccountLive: st.just(AccountLive(ACCOUNT, "talks again")),
}


def test_every_type_of_fact_is_tried_here() -> None:
    assert set(FACTS) == set(get_args(AccountFact))


@given(st.one_of(*FACTS.values()))
def test_every_event_can_be_written(fact: AccountFact) -> None:
    (event,) = Commit("c", "exchange:binance:main", 1, TIME, (fact,)).events("e")
    assert orjson.loads(orjson.dumps(event_json(event)))["seq"] == 1


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        ("0.000000000000000001", "25000", "2499999999999999999999900"),
        ("-0.000000000000000001", "25000", "2500000000000000000000100"),
        ("3", "1" + "0" * 50, "3" * 49 + "233.3333"),
        ("1" + "0" * 50, "3", "-100"),
    ],
)
def test_a_percentage_has_as_many_digits_as_it_takes(before: str, after: str, percent: str) -> None:
    assert fact_json(AssetChanged(ACCOUNT, USDT, Decimal(before), Decimal(after)))["changePercent"] == percent


@given(NUMBERS, NUMBERS, st.sampled_from([Decimal(0), Decimal(1), Decimal(50)]))
def test_every_number_is_measured_and_judged(before: Decimal, after: Decimal, percent: Decimal) -> None:
    assert ChangeThreshold(percent=percent).is_passed(before, after) in (True, False)
    held = AssetBalance(USDT, Amounts(after, before, after, before), "wallet", "rest", TIME)
    found = findings(held, amounts(str(before)), Thresholds(), Exceptions(), 0)
    assert {finding.slot for finding in found} <= {USDT}


def test_a_threshold_is_passed_by_no_rounding() -> None:
    before, most = Decimal("1" + "0" * 40), Decimal("1" + "0" * 38)
    threshold = ChangeThreshold(percent=Decimal(1))
    assert threshold.is_passed(before, before + most) is True
    assert threshold.is_passed(before, Decimal("1" + "00" + "9" * 38)) is False


@given(st.lists(NUMBERS, min_size=1, max_size=4))
def test_statistics_are_made_of_every_number(numbers: list[Decimal]) -> None:
    tally = AssetTally()
    for place, number in enumerate(numbers):
        tally.add(TIME.replace(second=place), number)
    made = tally.statistics(TIME.replace(second=59))
    assert made.records is not None
    assert made.records.change_percent is None or made.records.change_percent.is_finite()
    assert made.course is not None
    assert mean(made.course.average).is_finite()
