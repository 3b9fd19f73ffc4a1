"""Amounts are exact, whatever their size."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.amounts import amount_text, plain, scaled
from tests.domain.samples import UINT256

RAW = st.integers(0, UINT256)
DECIMALS = st.integers(0, 255)


@given(RAW, DECIMALS)
def test_scaling_loses_no_digit(raw: int, decimals: int) -> None:
    amount = scaled(raw, decimals)
    assert amount is not None
    with localcontext(prec=1_000):
        assert amount * Decimal(10) ** decimals == raw


@given(st.integers(-UINT256, UINT256), DECIMALS)
def test_the_text_is_the_same_number_without_exponent_or_trailing_zeros(raw: int, decimals: int) -> None:
    text = amount_text(raw, decimals)
    assert text is not None
    whole, point, fraction = text.removeprefix("-").partition(".")
    assert whole.isdecimal()
    assert whole == "0" or whole[0] != "0"
    assert fraction.isdecimal() == bool(point)
    assert not fraction.endswith("0")
    with localcontext(prec=1_000):
        assert Decimal(text) * Decimal(10) ** decimals == raw


@pytest.mark.parametrize(
    ("raw", "decimals", "text"),
    [
        (0, 6, "0"),
        (0, 0, "0"),
        (0, 255, "0"),
        (7, 6, "0.000007"),
        (7_000_000, 6, "7"),
        (100, 0, "100"),
        (1_230_000, 6, "1.23"),
        (-1_500_000, 6, "-1.5"),
        (1, 255, "0." + "0" * 254 + "1"),
        (UINT256, 0, str(UINT256)),
        (UINT256, 18, "115792089237316195423570985008687907853269984665640564039457.584007913129639935"),
    ],
)
def test_amounts_read_as_people_write_them(raw: int, decimals: int, text: str) -> None:
    assert amount_text(raw, decimals) == text


def test_a_token_that_does_not_tell_its_decimals_has_no_amount() -> None:
    assert scaled(7, None) is None
    assert amount_text(7, None) is None
    assert plain(None) is None


def test_a_context_of_somebody_elses_does_not_round() -> None:
    with localcontext(prec=5):
        assert amount_text(UINT256, 6) == f"{str(UINT256)[:-6]}.{str(UINT256)[-6:]}"


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1E+3", "1000"), ("1.50", "1.5"), ("0E-18", "0"), ("-0.10", "-0.1"), ("-0.00", "0"), ("-0", "0")],
)
def test_any_decimal_is_written_plainly(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text
