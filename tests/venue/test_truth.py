from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.demo.venue.state import EXACT, Account, Change
from indexer.demo.venue.truth import Overdrawn, Truth
from indexer.demo.venue.wire import encoded, shown

PERP = "BTC/USDT:USDT"
ACCOUNT = Account("okx", "main", 1, "key", "secret", "password", frozenset({"read"}))
AMOUNTS = st.decimals(min_value=0, max_value=10**30, places=18, allow_nan=False)


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def opened(clock: Clock | None = None) -> Truth:
    truth = Truth(now_ms=clock or Clock(), margin_wallets={"okx": "unified"})
    truth.open(ACCOUNT)
    return truth


@given(AMOUNTS, AMOUNTS)
def test_sums_keep_every_digit(first: Decimal, second: Decimal) -> None:
    truth = opened()
    truth.deposit(ACCOUNT, "funding", "ETH", first)
    truth.deposit(ACCOUNT, "funding", "ETH", str(second))
    assert truth.oracle(ACCOUNT)["funding"]["ETH"].total == EXACT.add(first, second)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18), st.integers(0, 18), st.booleans())
def test_an_amount_is_written_exactly_and_without_an_exponent(value: Decimal, places: int, numbers: bool) -> None:
    text = encoded([value], places=places, numbers=numbers).decode().strip('[]"')
    assert Decimal(text) == value
    assert text == shown(value, places)
    assert "E" not in text
    assert len(text.partition(".")[2]) >= places
    assert not text.startswith("-0") or value < 0


def test_a_transfer_is_one_change_that_moves_the_money_once() -> None:
    truth = opened()
    heard: list[Change] = []
    truth.deposit(ACCOUNT, "funding", "USDT", 100)
    truth.listen(heard.append)
    truth.transfer(ACCOUNT, "USDT", "30.5", "funding", "unified")
    [change] = heard
    assert [(move.wallet, move.delta) for move in change.moves] == [
        ("funding", Decimal("-30.5")),
        ("unified", Decimal("30.5")),
    ]
    assert (change.seq, change.state.seq) == (2, 2)


def test_nothing_can_be_taken_that_is_not_there() -> None:
    truth = opened()
    truth.deposit(ACCOUNT, "unified", "USDT", 1)
    with pytest.raises(Overdrawn):
        truth.trade(ACCOUNT, "unified", {"USDT": "-1.1", "BTC": "1"})
    assert truth.oracle(ACCOUNT) == {"unified": {"USDT": truth.oracle(ACCOUNT)["unified"]["USDT"]}}
    assert truth.state(ACCOUNT).seq == 1


def test_a_float_is_no_amount() -> None:
    with pytest.raises(TypeError, match="float"):
        opened().deposit(ACCOUNT, "unified", "USDT", 0.1)  # type: ignore[arg-type]  # what must not pass


def test_a_position_uses_margin_and_gives_it_back_with_its_profit() -> None:
    truth = opened()
    truth.deposit(ACCOUNT, "unified", "USDT", 1000)
    truth.open_position(ACCOUNT, PERP, "-0.1", 60000, leverage=10)
    held = truth.oracle(ACCOUNT)["unified"]["USDT"]
    assert (held.free, held.used, held.equity) == (Decimal(400), Decimal(600), Decimal(1000))
    truth.mark(ACCOUNT, PERP, 59000)
    assert truth.oracle(ACCOUNT)["unified"]["USDT"].equity == 1100
    truth.open_position(ACCOUNT, PERP, "-0.05", 59000)
    assert truth.oracle(ACCOUNT)["unified"]["USDT"].total == 1050
    truth.open_position(ACCOUNT, PERP, 0, 59000)
    held = truth.oracle(ACCOUNT)["unified"]["USDT"]
    assert (held.free, held.used, held.equity) == (Decimal(1100), Decimal(0), Decimal(1100))
    assert truth.state(ACCOUNT).positions == {}


def test_a_position_that_grows_has_the_average_price_and_one_that_turns_a_new_one() -> None:
    truth = opened()
    truth.deposit(ACCOUNT, "unified", "USDT", 10000)
    truth.open_position(ACCOUNT, PERP, "0.1", 60000)
    truth.open_position(ACCOUNT, PERP, "0.2", 61000)
    assert truth.state(ACCOUNT).positions[PERP].entry_price == 60500
    truth.open_position(ACCOUNT, PERP, "-0.1", 60000)
    assert truth.state(ACCOUNT).positions[PERP].entry_price == 60000
    assert truth.oracle(ACCOUNT)["unified"]["USDT"].total == 9900


def test_the_past_is_remembered_for_a_while() -> None:
    clock = Clock()
    truth = opened(clock)
    for amount in range(1, 100):
        clock.ms += 1000
        truth.deposit(ACCOUNT, "unified", "USDT", amount)
    assert truth.state(ACCOUNT).seq == 99
    assert truth.state(ACCOUNT, age_seconds=0.5).seq == 98
    assert truth.state(ACCOUNT, age_seconds=10).seq == 89
    assert truth.state(ACCOUNT, age_seconds=1000).seq >= 60
