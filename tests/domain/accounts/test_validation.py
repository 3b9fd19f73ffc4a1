"""Seven rules, each with what breaks it, what does not, and who is excepted."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.accounts.amounts import Amounts, AssetBalance, Slot
from indexer.domain.accounts.validation import Exceptions, Finding, Thresholds, findings, inconsistency, is_refused
from tests.domain.accounts.builders import TIME, USDT, amounts

CROSS = Slot("margin", "USDT")


def balance(
    free: str | None, used: str | None, total: str | None, debt: str | None = None, slot: Slot = USDT
) -> AssetBalance:
    found = amounts(free, used, total)._replace(debt=None if debt is None else Decimal(debt))
    return AssetBalance(slot, found, "wallet", "rest", TIME)


def found_in(
    held: AssetBalance,
    previous: Amounts | None = None,
    thresholds: Thresholds | None = None,
    exceptions: Exceptions | None = None,
    age: float = 0,
) -> list[tuple[str, str]]:
    found = findings(held, previous, thresholds or Thresholds(), exceptions or Exceptions(), age)
    return [(one.kind, one.severity) for one in found]


@pytest.mark.parametrize(
    ("held", "kind", "severity"),
    [
        (balance("0", "0", "-1"), "negative_balance", "error"),
        (balance("1", "-1", "0"), "negative_balance", "error"),
        (balance("1", "0", "1", debt="-3"), "negative_balance", "error"),
        (balance("-1", "2", "1"), "negative_free_balance", "warning"),
        (balance("1", "3", "2"), "hold_exceeds_balance", "error"),
        (balance("1", "2", "4"), "source_inconsistency", "warning"),
        (balance(None, None, "1e19"), "unrealistic_balance", "error"),
        (balance(None, None, "0." + "1" * 31), "precision_overflow", "error"),
        (balance(None, None, "1" * 61), "precision_overflow", "error"),
        (balance(None, None, "NaN"), "precision_overflow", "error"),
        (balance("Infinity", None, None), "precision_overflow", "error"),
    ],
)
def test_what_cannot_be_is_found(held: AssetBalance, kind: str, severity: str) -> None:
    assert (kind, severity) in found_in(held)


def test_amounts_in_findings_are_written_as_people_write_them() -> None:
    (found,) = findings(balance("1E-7", "0E-8", "3.00"), None, Thresholds(), Exceptions(), 0)
    assert found.detail == "free 0.0000001 and used 0 are not the total 3"


def test_what_two_sources_say_is_written_as_people_write_it() -> None:
    told, read = balance("0E-8", "0", "0E-8"), balance("2E+1", "0", "2E+1")
    found = inconsistency(told, read, Thresholds())
    assert found is not None
    assert found.detail == "rest told 0, rest says 20"


def test_less_than_nothing_is_no_hold_beyond_what_is_there() -> None:
    assert [kind for kind, _ in found_in(balance("-5", "0", "-5"))] == ["negative_free_balance", "negative_balance"]


def test_what_is_no_number_is_kept_out_whatever_is_configured() -> None:
    mild = Thresholds(severities={"precision_overflow": "warning"})
    assert found_in(balance(None, None, "NaN"), thresholds=mild) == [("precision_overflow", "error")]
    assert found_in(balance(None, None, "1" * 61), thresholds=mild)[-1] == ("precision_overflow", "warning")


@pytest.mark.parametrize("total", ["100.00000000", "0.00000000", "12.3400000000", "0E-20", "100000"])
def test_zeros_behind_the_last_digit_are_no_decimals_and_no_digits(total: str) -> None:
    assert found_in(balance(None, None, total), thresholds=Thresholds(digits=6, decimals=4)) == []


@pytest.mark.parametrize("total", ["100.00001000", "12.3456700", "1000000"])
def test_digits_before_such_zeros_count(total: str) -> None:
    few = Thresholds(digits=6, decimals=4)
    assert found_in(balance(None, None, total), thresholds=few) == [("precision_overflow", "error")]


def test_what_an_honest_venue_says_breaks_no_rule() -> None:
    assert found_in(balance("1.5", "0.5", "2"), amounts("1", "0", "1")) == []
    assert found_in(balance(None, None, "2")) == []
    assert found_in(balance("0", "0", "0", debt="5")) == []


def test_an_old_word_is_stale() -> None:
    assert found_in(balance("1", "0", "1"), age=299) == []
    assert found_in(balance("1", "0", "1"), age=301) == [("stale_data", "warning")]


def test_a_jump_is_worth_a_look_but_believed() -> None:
    found = found_in(balance("9", "0", "9"), amounts("0.000001", "0", "0.000001"))
    assert found == [("unrealistic_balance", "warning")]


def test_margin_may_owe_where_the_venue_is_excepted() -> None:
    owing = balance("-5", "1", "-4", slot=CROSS)
    assert found_in(owing) != []
    assert found_in(owing, exceptions=Exceptions(may_be_negative=frozenset({"margin"}))) == []


def test_free_and_used_need_not_make_the_total_where_they_are_apart_by_design() -> None:
    assert found_in(balance("7", "2", "4"), exceptions=Exceptions(free_is_apart=frozenset({"spot"}))) == []


def test_a_configured_severity_replaces_the_rules_own() -> None:
    strict = Thresholds(severities={"source_inconsistency": "error"})
    assert found_in(balance("1", "2", "4"), thresholds=strict) == [("source_inconsistency", "error")]


def test_rounding_by_the_venue_is_tolerated() -> None:
    assert found_in(balance("0.333333333", "0.666666666", "1")) == []


def test_stream_and_read_are_compared_only_in_one_measure() -> None:
    told, found = balance("1", "0", "1"), balance("2", "0", "2")
    equity = AssetBalance(USDT, found.amounts, "equity", "rest", TIME)
    assert inconsistency(told, found, Thresholds()) is not None
    assert inconsistency(told, equity, Thresholds()) is None
    assert inconsistency(told, told, Thresholds()) is None


def test_only_an_error_keeps_an_amount_out() -> None:
    assert is_refused((Finding("negative_balance", "error", "", USDT),))
    assert not is_refused((Finding("stale_data", "warning", "", USDT),))


_amount = st.one_of(st.none(), st.decimals(allow_nan=True, allow_infinity=True))


@given(_amount, _amount, _amount, _amount)
def test_no_amount_whatever_makes_a_rule_raise(
    free: Decimal | None, used: Decimal | None, total: Decimal | None, debt: Decimal | None
) -> None:
    held = AssetBalance(USDT, Amounts(free, used, total, debt), "wallet", "rest", TIME)
    kinds = [one.kind for one in findings(held, held.amounts, Thresholds(), Exceptions(), 0)]
    assert len(kinds) == len(set(kinds))
