"""Which positions are open, as far as anybody told us: answers and frames merged without a clock or a guess.

The rules are those of balances: what was asked for before a newer word came never overwrites that word, an empty
answer is no proof that everything is closed, and where two words contradict each other, the answer is to ask again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from indexer.domain.accounts.arrivals import Position, PositionsSeen
from indexer.domain.accounts.merging import APART_SECONDS, VANISHED_ALL, VANISHED_ONCE
from indexer.domain.accounts.order import LATE_SECONDS, OLD_ANSWER_SECONDS

LAG_SECONDS: Final = 5.0
"""So soon after a frame an answer that says otherwise may be from before it: some venues answer from a copy."""


BACK_SECONDS: Final = 2.0
"""So long after the newest word an answer with an older time is believed where a frame says the same: copies are seldom
behind by more, and that frame would have to be held up as well. Otherwise the venue's clock went back."""

MOST_LATE: Final = 16
_NEVER: Final = float("-inf")


class Late(NamedTuple):
    """What a frame said whose time was older than what was known."""

    position: Position
    time: datetime
    received: float


@dataclass(frozen=True, slots=True)
class KnownPosition:
    """The newest word on one. `as_of`: what was asked before that moment is older than this."""

    position: Position
    as_of: float = float("-inf")
    heard: float = float("-inf")
    """When the stream told it last."""
    venue_time: datetime | None = None
    """When the venue changed it: a frame from before that comes late is not believed, whatever was read meanwhile."""
    late: tuple[Late, ...] = ()
    """Oldest first, since the newest word."""
    set_back: float = _NEVER
    """When the first frame came that was told by a clock set back: `venue_time` is of the clock as it goes since."""


@dataclass(frozen=True, slots=True)
class PositionsState:
    """All that were ever told; closed ones are flat."""

    known: Mapping[str, KnownPosition] = field(default_factory=dict)
    asked: float = float("-inf")
    """When the newest answer was asked for."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """How many answers in a row left an open one out."""
    empty: int = 0
    """How many answers in a row had none while some should be open."""
    empty_asked: float = float("-inf")


class MergedPositions(NamedTuple):
    """What an answer or a frame led to: positions that are not as they were told, or a reason to ask (again)."""

    state: PositionsState
    changed: tuple[Position, ...] = ()
    ask: str | None = None


def restored_positions(positions: Mapping[str, Position]) -> PositionsState:
    """What an earlier life committed: older than anything that will come."""
    return PositionsState({symbol: KnownPosition(position) for symbol, position in positions.items()})


def merge_positions(state: PositionsState, seen: PositionsSeen) -> MergedPositions:
    return _hear(state, seen) if seen.source == "stream" else _take(state, seen)


# --- answers ---------------------------------------------------------------------------------------------------------


def _take(state: PositionsState, seen: PositionsSeen) -> MergedPositions:
    if seen.asked <= state.asked:
        return MergedPositions(state)
    seen = replace(seen, positions=_one_each(seen.positions))
    left_out = _left_out(state, seen)
    is_empty = all(position.side == "flat" for position in seen.positions)
    if is_empty and any(_is_open(one) for one in state.known.values()):
        state = _once_more_empty(state, seen.asked)
        if state.empty < VANISHED_ALL:
            return MergedPositions(state, ask="an answer without positions")
    known, missing, ask = dict(state.known), dict[str, int](), None
    changed: list[Position] = []
    for position in (*seen.positions, *left_out):
        before = known.get(position.symbol)
        if before is not None and _is_newer(before, position, seen):
            if _core(position) != _core(before.position):
                ask = f"{position.symbol} was told otherwise while we asked"
            continue
        if position in left_out and not is_empty:
            missing[position.symbol] = state.missing.get(position.symbol, 0) + 1
            if missing[position.symbol] < VANISHED_ONCE:
                ask = f"{position.symbol} is missing"
                continue
            del missing[position.symbol]
        known[position.symbol] = _answered(before or KnownPosition(position), position, seen)
        if _differs(position, before):
            changed.append(position)
    return MergedPositions(PositionsState(known, seen.asked, missing), tuple(changed), ask)


def _answered(before: KnownPosition, position: Position, seen: PositionsSeen) -> KnownPosition:
    ours, theirs, set_back = before.venue_time, seen.changed(position.symbol), before.set_back
    if ours is None or theirs is None:
        time = ours if theirs is None else theirs
    elif _core(position) == _core(before.position):
        time = max(ours, theirs)
    else:  # one that says otherwise was believed though it is older: the venue's clock went back
        time, set_back = theirs, _said_late(before, position, theirs) if theirs < ours else set_back
    return KnownPosition(position, seen.asked, before.heard, time, set_back=set_back)


def _once_more_empty(state: PositionsState, asked: float) -> PositionsState:
    """What is asked again too soon may be the same moment's lie."""
    if asked - state.empty_asked < APART_SECONDS[min(state.empty, len(APART_SECONDS) - 1)]:
        return replace(state, asked=asked)
    return replace(state, asked=asked, empty=state.empty + 1, empty_asked=asked)


def _is_newer(known: KnownPosition, position: Position, seen: PositionsSeen) -> bool:
    """Whether the known word is to be kept against this answer."""
    if known.as_of > seen.asked:
        return True
    ours, theirs = known.venue_time, seen.changed(position.symbol)
    if ours is not None and theirs is not None:
        if theirs >= ours or seen.asked - known.as_of >= OLD_ANSWER_SECONDS:
            return False
        return seen.asked - known.as_of < BACK_SECONDS or _said_late(known, position, theirs) == _NEVER
    return seen.asked - known.heard < LAG_SECONDS and _core(position) != _core(known.position)


def _said_late(known: KnownPosition, position: Position, time: datetime) -> float:
    """When a frame came that says what this answer says, with no newer time."""
    same = (late.received for late in known.late if late.time <= time and _core(late.position) == _core(position))
    return next(same, _NEVER)


# --- frames ----------------------------------------------------------------------------------------------------------


def _hear(state: PositionsState, seen: PositionsSeen) -> MergedPositions:
    known, missing, ask = dict(state.known), dict(state.missing), None
    changed: list[Position] = []
    for told in (*seen.positions, *_left_out(state, seen)):
        before = known.get(told.symbol)
        if before is not None and _is_older(seen, before):
            if _core(told) != _core(before.position):
                ask = f"{told.symbol} was told late"
            known[told.symbol] = _with_late(before, told, seen)
            continue
        position = _filled(told, before)
        if position.side != "flat" and not (before is not None and _is_open(before)):
            ask = f"{told.symbol} was opened"  # not every stream says all of it
        missing.pop(told.symbol, None)
        set_back = _NEVER if before is None else before.set_back
        known[told.symbol] = KnownPosition(
            position, seen.received, seen.received, seen.changed(told.symbol), set_back=set_back
        )
        if _differs(position, before):
            changed.append(position)
    has_open = any(position.side != "flat" for position in seen.positions)
    return MergedPositions(
        replace(state, known=known, missing=missing, empty=0 if has_open else state.empty), tuple(changed), ask
    )


def _is_older(seen: PositionsSeen, known: KnownPosition) -> bool:
    theirs = seen.changed(known.position.symbol)
    if theirs is not None and known.venue_time is not None:
        return theirs < known.venue_time or _is_of_the_clock_before(seen, theirs, known.venue_time, known.set_back)
    return seen.received < known.as_of


def _is_of_the_clock_before(seen: PositionsSeen, theirs: datetime, ours: datetime, set_back: float) -> bool:
    """Soon after a venue's clock went back: whether this frame is ahead of what the clock can show by now."""
    since = seen.received - set_back
    return since <= LATE_SECONDS and (theirs - ours).total_seconds() > since + LATE_SECONDS / 2


def _with_late(known: KnownPosition, told: Position, seen: PositionsSeen) -> KnownPosition:
    time = seen.changed(told.symbol)
    if time is None or known.venue_time is None or time >= known.venue_time:
        return known
    return replace(known, late=(*known.late, Late(told, time, seen.received))[-MOST_LATE:])


def _filled(position: Position, before: KnownPosition | None) -> Position:
    """What a frame leaves out is as it was, while the position is open."""
    if position.side == "flat" or before is None or not _is_open(before):
        return position
    kept = before.position
    return replace(
        position,
        leverage=kept.leverage if position.leverage is None else position.leverage,
        margin_mode=kept.margin_mode if position.margin_mode is None else position.margin_mode,
        liquidation_price=(
            kept.liquidation_price if position.liquidation_price is None else position.liquidation_price
        ),
        mark_price=kept.mark_price if position.mark_price is None else position.mark_price,
    )


# --- both ------------------------------------------------------------------------------------------------------------


def flat(symbol: str) -> Position:
    return Position(symbol, "flat", Decimal(0))


def _one_each(positions: tuple[Position, ...]) -> tuple[Position, ...]:
    """Of two sides in one contract the larger, however they are ordered: a contract has one position here."""
    larger: dict[str, Position] = {}
    for position in positions:
        other = larger.setdefault(position.symbol, position)
        if (position.contracts, position.side) > (other.contracts, other.side):
            larger[position.symbol] = position
    return tuple(larger.values())


def _left_out(state: PositionsState, seen: PositionsSeen) -> tuple[Position, ...]:
    """Those that would be closed, if this is all there is."""
    if not seen.complete:
        return ()
    named = {position.symbol for position in seen.positions}
    return tuple(flat(symbol) for symbol, one in state.known.items() if symbol not in named and _is_open(one))


def _is_open(known: KnownPosition) -> bool:
    return known.position.side != "flat"


def _differs(position: Position, before: KnownPosition | None) -> bool:
    """Prices move all the time and are no change of a position."""
    return _essence(position) != _essence(flat(position.symbol) if before is None else before.position)


def _essence(position: Position) -> tuple[object, ...]:
    if position.side == "flat":
        return ("flat",)
    return *_core(position), position.leverage, position.margin_mode


def _core(position: Position) -> tuple[object, ...]:
    return ("flat",) if position.side == "flat" else (position.side, position.contracts, position.entry_price)
