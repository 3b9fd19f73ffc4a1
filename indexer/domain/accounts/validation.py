"""What no account can hold: seven rules, asked before anything is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Final, NamedTuple

from indexer.domain.accounts.amounts import Amounts, AssetBalance, Slot, Wallet, less
from indexer.domain.accounts.facts import AlertKind, Severity
from indexer.domain.amounts import plain

_EXACT: Final = Context(prec=400)
_NAMES: Final = ("free", "used", "total", "debt")


class Finding(NamedTuple):
    """A rule that an amount breaks. With severity `error` the amount is not believed."""

    kind: AlertKind
    severity: Severity
    detail: str
    slot: Slot


@dataclass(frozen=True, slots=True)
class Exceptions:
    """What is as it should be at one venue, though elsewhere it would be a mistake."""

    may_be_negative: frozenset[Wallet] = frozenset()
    """Wallets whose totals go below zero: cross margin and unified accounts owe."""
    free_is_apart: frozenset[Wallet] = frozenset()
    """free + used differs from total by design: collateral and unrealised profit are counted in one of them."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Every limit of the rules; what is configured replaces what stands here."""

    tolerance: Decimal = Decimal("0.00000001")
    """Venues round free, used and total one by one; differences up to this are theirs."""
    relative_tolerance: Decimal = Decimal("0.00000001")
    most: Decimal = Decimal(10) ** 18
    """More than that of anything but the smallest coins is a lost decimal point: all dollars there are make 10^14."""
    jump: Decimal = Decimal(10) ** 6
    """So many times what was there is worth a look, no more: a first deposit into a wallet of dust is such a one."""
    stale_seconds: float = 300.0
    digits: int = 60
    """More than a uint256 with 18 decimals can ever need is a float printed in full."""
    decimals: int = 30
    severities: Mapping[AlertKind, Severity] = field(default_factory=dict)
    """Other severities than these rules have by themselves, by name of the rule."""


def findings(
    held: AssetBalance,
    previous: Amounts | None,
    thresholds: Thresholds,
    exceptions: Exceptions,
    age_seconds: float,
) -> tuple[Finding, ...]:
    """The rules that this balance breaks; `previous` is what was believed before."""
    broken, severities = list(_overflows(held.amounts, thresholds)), thresholds.severities
    if not all(amount is None or amount.is_finite() for amount in held.amounts):
        severities = {}  # whatever is configured: it is no number
    else:
        broken += (
            *_signs(held, exceptions),
            *_parts(held, thresholds, exceptions),
            *_sizes(held.amounts, previous, thresholds),
        )
    broken += _ages(age_seconds, thresholds)
    # One finding for each rule, its worst.
    return tuple(
        Finding(kind, severities.get(kind, severity), detail, held.slot)
        for kind, (severity, detail) in {each[0]: each[1:] for each in reversed(broken)}.items()
    )


def inconsistency(told: AssetBalance, found: AssetBalance, thresholds: Thresholds) -> Finding | None:
    """What the stream told and a later read found, where nothing was told in between."""
    ours, theirs = told.amounts.balance, found.amounts.balance
    if found.measure == "equity":  # moves with prices, and nobody tells
        return None
    if told.measure != found.measure or ours is None or theirs is None or _is_close(ours, theirs, thresholds):
        return None
    severity = thresholds.severities.get("source_inconsistency", "warning")
    detail = f"{told.source} told {plain(ours)}, {found.source} says {plain(theirs)}"
    return Finding("source_inconsistency", severity, detail, found.slot)


def is_refused(found: tuple[Finding, ...]) -> bool:
    return any(finding.severity == "error" for finding in found)


_Broken = tuple[AlertKind, Severity, str]


def _overflows(amounts: Amounts, thresholds: Thresholds) -> Iterator[_Broken]:
    for name, amount in zip(_NAMES, amounts, strict=True):
        if amount is None:
            continue
        _, digits, exponent = amount.as_tuple()
        if not isinstance(exponent, int):
            yield "precision_overflow", "error", f"{name} is {amount}"
            continue
        zeros = _zeros_behind(digits, exponent)
        count, decimals = len(digits) - zeros, max(0, -exponent - zeros)
        if count > thresholds.digits or decimals > thresholds.decimals:
            yield "precision_overflow", "error", f"{name} has {count} digits, {decimals} of them behind the point"


def _zeros_behind(digits: Sequence[int], exponent: int) -> int:
    """Some venues fill up with zeros behind the point: they say nothing."""
    if not any(digits):
        return max(0, -exponent)
    zeros = next(place for place, digit in enumerate(reversed(digits)) if digit)
    return min(zeros, max(0, -exponent))


def _signs(held: AssetBalance, exceptions: Exceptions) -> Iterator[_Broken]:
    free, used, total, debt = held.amounts
    if held.slot.wallet in exceptions.may_be_negative:
        return
    for name, amount in (("total", total), ("used", used), ("debt", debt)):
        if amount is not None and amount < 0:
            yield "negative_balance", "error", f"{name} is {plain(amount)}"
    if free is not None and free < 0:
        yield "negative_free_balance", "warning", f"free is {plain(free)}"


def _parts(held: AssetBalance, thresholds: Thresholds, exceptions: Exceptions) -> Iterator[_Broken]:
    """Only within one measure, and only where the venue says all three."""
    free, used, total, _ = held.amounts
    if held.slot.wallet in exceptions.free_is_apart or free is None or used is None or total is None:
        return
    is_more = used > total >= 0 and not _is_close(used, total, thresholds)  # below zero is a rule of its own
    if is_more and held.slot.wallet not in exceptions.may_be_negative:
        yield "hold_exceeds_balance", "error", f"{plain(used)} of {plain(total)} is on hold"
    elif not _is_close(_EXACT.add(free, used), total, thresholds):
        yield (
            "source_inconsistency",
            "warning",
            f"free {plain(free)} and used {plain(used)} are not the total {plain(total)}",
        )


def _sizes(amounts: Amounts, previous: Amounts | None, thresholds: Thresholds) -> Iterator[_Broken]:
    balance = amounts.balance
    if balance is None:
        return
    if balance.copy_abs() > thresholds.most:
        yield "unrealistic_balance", "error", f"{plain(balance)} is more than {plain(thresholds.most)}"
        return
    before = None if previous is None else previous.balance
    if before and balance.copy_abs() > _EXACT.multiply(before.copy_abs(), thresholds.jump):
        grown = f"{plain(balance)} is more than {plain(thresholds.jump)} times the {plain(before)} before"
        yield "unrealistic_balance", "warning", grown


def _ages(seconds: float, thresholds: Thresholds) -> Iterator[_Broken]:
    if seconds > thresholds.stale_seconds:
        yield "stale_data", "warning", f"it was received {seconds:.0f} s ago"


def _is_close(one: Decimal, other: Decimal, thresholds: Thresholds) -> bool:
    allowed = max(
        thresholds.tolerance, _EXACT.multiply(max(one.copy_abs(), other.copy_abs()), thresholds.relative_tolerance)
    )
    return less(one, other).copy_abs() <= allowed
