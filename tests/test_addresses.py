"""Addresses: what is taken, what is refused, and with which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.addresses import ZERO, checksum, parse_address

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
EIP55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]
addresses = st.integers(min_value=1, max_value=2**160 - 1).map(lambda number: f"0x{number:040x}")


@pytest.mark.parametrize("right", EIP55)
def test_the_examples_of_eip_55_come_out_as_published(right: str) -> None:
    assert checksum(right.lower()) == right
    assert parse_address(right) == right


@given(addresses)
def test_lower_upper_and_checksum_forms_are_one_address(text: str) -> None:
    right = checksum(text)
    assert parse_address(text) == right
    assert parse_address("0x" + text[2:].upper()) == right
    assert parse_address(text.upper()) == right
    assert parse_address(right) == right


@given(addresses, st.integers(min_value=2, max_value=41))
def test_one_letter_of_the_wrong_case_is_refused_where_case_counts(text: str, at: int) -> None:
    right = checksum(text)
    wrong = right[:at] + right[at].swapcase() + right[at + 1 :]
    if wrong != right and wrong[2:] not in (wrong[2:].lower(), wrong[2:].upper()):
        with pytest.raises(ValueError, match=right):
            parse_address(wrong)
    assert parse_address(wrong, strict_case=False) == right


@given(st.text(max_size=60))
def test_whatever_is_written_is_an_address_or_a_value_error(text: str) -> None:
    try:
        parsed = parse_address(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - any of the reasons will do
    else:
        assert checksum(text) == parsed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "begins with 0x"),
        (USDC[2:], "begins with 0x"),
        (USDC[:-1], "this has 39"),
        (USDC + "0", "this has 41"),
        (USDC[:-1] + "g", "'g' at position 42"),
        (USDC[:-1] + "\n", "not a hex digit"),
        (USDC[:-1] + "٣", "not a hex digit"),
        (USDC[:-3] + "B48", "wrong checksum"),
        (ZERO, "zero address"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, reason: str) -> None:
    if "checksum" in reason:
        text = "0xa" + USDC[3:]
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


@pytest.mark.parametrize("text", ["", "0x", USDC[:-1], USDC + "0", "1x" + USDC[2:], "0x" + "g" * 40])
def test_what_is_no_address_has_no_checksum(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        checksum(text)
