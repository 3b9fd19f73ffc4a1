"""What must hold of everything that was told, whatever the venue did meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from indexer.clients.exchange.dialects.dialect import Dialect
from indexer.domain.accounts.amounts import Amounts, AssetBalance, Slot
from indexer.domain.accounts.facts import AssetUpdated, FundingPaid, PositionUpdated
from indexer.domain.accounts.order import TOGETHER_SECONDS
from indexer.domain.telling.commits import Commit
from tests.sim.accounts import wall
from tests.sim.accounts.truth import Truth, is_nothing

Fact = TypeVar("Fact")

WINDOW_SECONDS: Final = 2.0
"""An answer is from before it was received: as old as the venue shows it (0.5 s), as slow as it comes (0.3 s)."""


EMPTIED_SECONDS: Final = 16.0 + 5.5 + 0.75
"""A whole wallet is told as empty after six answers, and so long are the last two of them apart. The last one may be a
lie though all others were true: whoever asks, however often, can be lied to once more."""


def violations(log: Sequence[Commit], truth: Truth) -> Iterator[str]:
    yield from _gaps(log)
    told: dict[Slot, AssetBalance] = {}
    for fact in _updates(log):
        before = told.get(fact.slot)
        yield from _follows(fact, before)
        yield from _true(fact, truth)
        told[fact.slot] = fact.held
    yield from _ordered(log, truth)
    yield from _positions(log, truth)
    yield from _fundings(log, truth)


def missing(log: Sequence[Commit], truth: Truth, dialect: Dialect) -> Iterator[str]:
    """What of positions and funding payments is not told though the venue was honest and read since."""
    if dialect.has_positions:
        told = {fact.symbol: fact.position for fact in _facts(log, PositionUpdated)}
        yield from (f"position: {one.symbol} is not {one.side} any more" for one in truth.outdated(told.values()))
        open_now = sum(position.side != "flat" for position in told.values())
        if open_now != len(truth.state.positions):
            yield f"position: {open_now} are told and {len(truth.state.positions)} are open"
    if dialect.has_fundings:
        told_fees, fees = len(list(_facts(log, FundingPaid))), len(truth.state.fees)
        if told_fees != fees:
            yield f"funding: {told_fees} payments are told and {fees} were made"


def _positions(log: Sequence[Commit], truth: Truth) -> Iterator[str]:
    for fact in _facts(log, PositionUpdated):
        # One that is open may be told late by a stream; that one is closed is never guessed.
        seen, position = wall.moment(fact.time), fact.position
        since = seen - WINDOW_SECONDS if position.side == "flat" else 0.0
        if not truth.was_position(position, since, seen + 0.001):
            yield f"position: {position.symbol} was told as {position.side} {position.contracts} at {seen:.2f}"


def _fundings(log: Sequence[Commit], truth: Truth) -> Iterator[str]:
    names = [fact.funding.id for fact in _facts(log, FundingPaid)]
    if len(set(names)) != len(names):
        yield "funding: a payment was told twice"
    paid = {fee.amount for fee in truth.state.fees}
    for fact in _facts(log, FundingPaid):
        if fact.funding.amount not in paid:
            yield f"funding: {fact.funding.amount} was told and never paid"


def _gaps(log: Sequence[Commit]) -> Iterator[str]:
    expected = 1
    for commit in log:
        if commit.first_seq != expected:
            yield f"seq: {commit.first_seq} follows {expected - 1}"
        expected = commit.last_seq + 1


def _follows(fact: AssetUpdated, before: AssetBalance | None) -> Iterator[str]:
    expected: Amounts | None = None
    if before is not None and before.measure == fact.held.measure:
        expected = before.amounts
    if fact.previous != expected:
        yield f"previous: {fact.slot} went from {fact.previous}, but {expected} was told"
    if before is not None and before.amounts == fact.held.amounts and before.measure == fact.held.measure:
        yield f"previous: {fact.slot} was told twice as {_said(fact)}"


def _true(fact: AssetUpdated, truth: Truth) -> Iterator[str]:
    received = wall.moment(fact.held.received)
    if is_nothing(fact.held.amounts) and not _was_nothing(fact, truth, received):
        yield f"zero: {fact.slot} was told as nothing at {received:.2f}"
    if not truth.was_so(fact.held, received + 0.001):
        yield f"never: {fact.slot} was told as {_said(fact)} at {received:.2f} and never was"


def _was_nothing(fact: AssetUpdated, truth: Truth, received: float) -> bool:
    if truth.was_nothing(fact.slot, received - WINDOW_SECONDS, received):
        return True
    return fact.held.source == "rest" and truth.was_empty(fact.slot.wallet, received - EMPTIED_SECONDS, received)


def _ordered(log: Sequence[Commit], truth: Truth) -> Iterator[str]:
    """What is told is never older than what was told last; an amount that there was more than once is any of them.

    A frame without the venue's time is believed to come in its order, and so are two of one millisecond that come
    together: nobody could know otherwise.
    """
    reached: dict[Slot, int] = {}
    told: dict[Slot, AssetBalance] = {}
    for fact in _updates(log):
        before, told[fact.slot] = told.get(fact.slot), fact.held
        is_guessed = fact.held.source == "stream" and (
            fact.held.venue_time is None or (before is not None and _is_beside(fact.held, before))
        )
        until = wall.moment(fact.held.received) + 0.001
        found = truth.version(fact.held, 0 if is_guessed else reached.get(fact.slot, 0), until)
        if found is None:
            if truth.was_so(fact.held, until):
                yield f"older: {fact.slot} was told as {_said(fact)} at {until:.2f} after something newer"
        else:
            reached[fact.slot] = found


def _is_beside(held: AssetBalance, before: AssetBalance) -> bool:
    apart = (held.received - before.received).total_seconds()
    return before.source == "stream" and held.venue_time == before.venue_time and apart <= TOGETHER_SECONDS


def _said(fact: AssetUpdated) -> str:
    return " ".join(f"{name} {value}" for name, value in fact.held.amounts._asdict().items() if value is not None)


def _updates(log: Sequence[Commit]) -> Iterator[AssetUpdated]:
    return _facts(log, AssetUpdated)


def _facts(log: Sequence[Commit], kind: type[Fact]) -> Iterator[Fact]:
    for commit in log:
        for fact in commit.facts:
            if isinstance(fact, kind):
                yield fact
