"""Each funding payment is new once."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from indexer.domain.accounts.arrivals import Funding
from indexer.domain.accounts.fundings import LATE, Funded, asked_from
from tests.domain.accounts.builders import TIME


def paid(name: str, time: datetime) -> Funding:
    return Funding(name, "BTC/USDT:USDT", "USDT", Decimal(1), time)


def test_one_that_is_listed_late_is_new_and_one_that_was_told_is_not() -> None:
    known = Funded().noting(paid("a", TIME)).noting(paid("c", TIME + timedelta(minutes=2)))
    assert not known.is_new(paid("a", TIME))
    assert known.is_new(paid("b", TIME + timedelta(minutes=1)))
    assert known.is_new(paid("d", TIME + timedelta(minutes=2)))
    assert not known.is_new(paid("old", TIME - 2 * LATE))


def test_only_ids_that_can_come_again_are_kept() -> None:
    known = Funded()
    for number in range(100):
        known = known.noting(paid(str(number), TIME + number * timedelta(minutes=30)))
    assert sorted(known.ids) == ["97", "98", "99"]


def test_what_was_read_without_a_payment_is_not_read_again() -> None:
    assert asked_from(None, None) is None
    assert asked_from(TIME, TIME + 3 * LATE) == TIME + 2 * LATE
    assert asked_from(TIME, None) == TIME - LATE
