"""What an account holds, as far as anybody told us: snapshots and frames merged without a clock or a guess.

Three rules keep it true whatever comes late, twice, in another order or not at all. What was asked for before a newer
word came never overwrites that word. A frame is a whole new amount or only a reason to ask: nothing is ever added up.
And where two words contradict each other, the answer is to ask again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from indexer.domain.accounts import unsaid
from indexer.domain.accounts.amounts import NOTHING, Amounts, AssetBalance, Measure, Slot
from indexer.domain.accounts.arrivals import Moved, Snapshot, Updated
from indexer.domain.accounts.lateness import Lates, lag_after, late_after, placed, went_back, with_frame, with_late
from indexer.domain.accounts.order import Known, Lag, Word, compared, contradicts, newest

VANISHED_ONCE: Final = 2
"""So many snapshots in a row have to leave out an asset before it counts as gone."""

VANISHED_ALL: Final = 6
"""The same when a whole wallet is empty at once: that is what a broken answer looks like. A venue that lies in one of
ten answers passes once in a million."""

APART_SECONDS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""So long after the last of them the next one counts: what is asked again in between may be the same moment's lie."""

EMPTY_FROM_THE_START: Final = 3
"""Snapshots of nothing before a wallet of which nothing is known is believed to be empty."""


@dataclass(frozen=True, slots=True)
class WalletState:
    """One wallet. Nothing in it is believed before a whole snapshot was (`is_based`)."""

    known: Mapping[str, Known] = field(default_factory=dict)
    measure: Measure | None = None
    asked: float = float("-inf")
    """When the newest snapshot was asked for."""
    waiting: Mapping[str, Updated] = field(default_factory=dict)
    """The newest frame of each asset from before the first snapshot."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """How many snapshots in a row left an asset out."""
    empty: int = 0
    """How many snapshots in a row were empty while the wallet should not be."""
    empty_asked: float = float("-inf")
    """When the last of them was asked for."""
    is_based: bool = False
    lag: Lag = field(default_factory=Lag)
    """How long frames take."""
    gone: frozenset[str] = frozenset()
    """What a frame said to be gone, which was not believed of it alone; nobody has said otherwise since."""
    late: Lates = field(default_factory=dict)
    """What frames said of each asset with older times than the newest word has."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What an arrival led to: other amounts, a reason to ask (again), or a doubt."""

    state: WalletState
    changed: tuple[AssetBalance, ...] = ()
    ask: str | None = None
    """Why the wallet should be read, and soon."""
    doubt: str | None = None
    """Why a snapshot was not believed, or not all of it."""
    drifted: tuple[Slot, ...] = ()
    """What a snapshot found to differ though nothing had told so."""
    unsure: bool = False
    """Whether something in it may be older than what is known: the next answer tells."""
    unsaid: tuple[Slot, ...] = ()
    """What a snapshot names without its amount, though that was known: it is left as it was, and may be another."""


def restored(balances: Mapping[str, AssetBalance], seen: Mapping[str, float] | None = None) -> WalletState:
    """What an earlier life committed, a base to compare with; `seen` is when that was, on the clock of this life."""
    measures, moments = {held.measure for held in balances.values()}, seen or {}
    return WalletState(
        known={
            asset: Known(held, (moment := moments.get(asset, float("-inf"))), moment, held.venue_time, moment)
            for asset, held in balances.items()
        },
        measure=measures.pop() if len(measures) == 1 else None,
    )


def merge(state: WalletState, arrival: Snapshot | Updated | Moved) -> Merged:
    match arrival:
        case Snapshot():
            return _take(state, arrival)
        case Updated():
            return _update(state, arrival)
        case Moved(slot=slot):
            return Merged(state, ask=f"{slot.asset} moved")


# --- snapshots -------------------------------------------------------------------------------------------------------


def _take(state: WalletState, snapshot: Snapshot) -> Merged:
    if snapshot.asked <= state.asked:
        return Merged(state)
    is_empty = snapshot.complete and all(
        amounts.is_nothing or (amounts.balance is None and asset not in state.known)
        for asset, amounts in snapshot.amounts.items()
    )
    if is_empty and (doubted := _once_more_empty(state, snapshot)).empty < _needed(state, snapshot):
        reason = f"the {snapshot.wallet} wallet came back empty"
        return Merged(doubted, ask=reason, doubt=reason)
    known, missing = dict(state.known), dict[str, int]()
    changed: list[AssetBalance] = []
    doubt = ask = None
    is_unsure = False
    for asset in _named(state, snapshot):
        before, amounts = known.get(asset), snapshot.amounts.get(asset)
        if before is not None and (otherwise := _not_believed(asset, amounts, snapshot, before, state)):
            ask, is_unsure = otherwise, True
            continue
        if amounts is None and before is not None and before.held.amounts.is_nothing:
            amounts = before.held.amounts  # it is not on the list, as it should be
        if amounts is None:
            missing[asset] = state.missing.get(asset, 0) + 1
            if not is_empty and missing[asset] < (1 if asset in state.gone else VANISHED_ONCE):
                doubt = f"{asset} is missing from the {snapshot.wallet} wallet"
                continue
            del missing[asset]
            amounts = NOTHING
        if before is None and amounts.is_nothing:
            continue
        held = _held(asset, amounts, snapshot)
        known[asset] = _known(held, snapshot.asked, snapshot.received, before)
        if before is None or _differs(before.held, held):
            changed.append(held)
    drifted = tuple(held.slot for held in changed if state.is_based and held.slot.asset in state.known)
    gone = _said_gone(state, snapshot)
    based = WalletState(
        known,
        snapshot.measure,
        snapshot.asked,
        missing=missing,
        is_based=True,
        lag=lag_after(state.lag, snapshot, known),
        gone=gone,
        late=late_after(state.late, snapshot, state.known, known),
    )
    merged = Merged(based, tuple(changed), ask or doubt, doubt, drifted, is_unsure, unsaid.held(snapshot, state.known))
    return _then_waiting(merged, state.waiting, snapshot)


def _not_believed(
    asset: str, amounts: Amounts | None, snapshot: Snapshot, before: Known, state: WalletState
) -> str | None:
    """Why this asset is left as it is known, and asked for again."""
    said, held = NOTHING if amounts is None else amounts, before.held.amounts
    if said == held or (amounts is None and held.is_nothing):
        return None
    time = snapshot.time_of(asset)
    late = state.late.get(asset, ())
    if snapshot.source == "rest" and went_back(late, said, time, snapshot.asked, before):
        return None
    is_gone = said.is_nothing and not held.is_nothing
    word = Word(snapshot.source, snapshot.asked, *placed(state.lag, snapshot, time), time, is_nothing=is_gone)
    match compared(word, before):
        case "older":
            return f"{asset} was told otherwise while we asked"
        case "unsure" if contradicts(said, held):
            return f"{asset} may have been told otherwise before"
        case _:
            return None


def _once_more_empty(state: WalletState, snapshot: Snapshot) -> WalletState:
    apart = APART_SECONDS[min(state.empty, len(APART_SECONDS) - 1)] if _holds_something(state) else 0.0
    if snapshot.asked - state.empty_asked < apart:
        return replace(state, asked=snapshot.asked)
    return replace(state, empty=state.empty + 1, empty_asked=snapshot.asked, asked=snapshot.asked)


def _needed(state: WalletState, snapshot: Snapshot) -> int:
    """How many empty answers in a row are believed: an empty success is not a success."""
    if _holds_something(state):
        held = {asset for asset, one in state.known.items() if one.held.amounts.is_something}
        return VANISHED_ONCE if held <= state.gone else VANISHED_ALL
    return 0 if state.is_based or snapshot.amounts else EMPTY_FROM_THE_START


def _holds_something(state: WalletState) -> bool:
    return any(one.held.amounts.is_something for one in state.known.values())


def _named(state: WalletState, snapshot: Snapshot) -> list[str]:
    """Of which it says something: an amount, or by leaving it out that there is none."""
    left_out = [asset for asset in state.known if asset not in snapshot.amounts] if snapshot.complete else []
    says_nothing = unsaid.unsaid(snapshot, state.known)
    return [*(asset for asset in snapshot.amounts if asset not in says_nothing), *left_out]


def _then_waiting(merged: Merged, waiting: Mapping[str, Updated], snapshot: Snapshot) -> Merged:
    """Frames from before the first snapshot: what came after it was asked for is newer than it."""
    for frame in sorted(waiting.values(), key=lambda one: one.received):
        if frame.received > snapshot.asked:
            following = _update(merged.state, frame)
            merged = replace(
                following,
                changed=_newest((*merged.changed, *following.changed)),
                ask=following.ask or merged.ask,
                doubt=merged.doubt,
                unsure=merged.unsure,
                unsaid=merged.unsaid,
            )
    return merged


def _newest(changed: tuple[AssetBalance, ...]) -> tuple[AssetBalance, ...]:
    return tuple({held.slot: held for held in changed}.values())


# --- frames ----------------------------------------------------------------------------------------------------------


def _update(state: WalletState, frame: Updated) -> Merged:
    if not state.is_based:
        waiting = {**state.waiting, **dict.fromkeys(frame.amounts, frame)}
        kept = replace(state, waiting=waiting, lag=with_frame(state.lag, frame))
        return Merged(kept, ask=f"the {frame.wallet} wallet was never read")
    if frame.measure != state.measure:
        return Merged(state, ask=f"the stream tells {frame.measure}, we keep {state.measure}")
    known = dict(state.known)
    missing = dict(state.missing)
    changed: list[AssetBalance] = []
    said, ask = unsaid.said(frame, state.known)
    is_unsure, late = False, dict(state.late)
    for asset, amounts in said.items():
        before, time = known.get(asset), frame.time_of(asset)
        if before is not None:
            since = float("-inf") if frame.asked is None else frame.asked
            is_gone = amounts.is_nothing and not before.held.amounts.is_nothing
            word = Word("stream", frame.received, *placed(state.lag, frame, time), time, since, is_gone)
            order = compared(word, before)
            if order != "newer" and contradicts(amounts, before.held.amounts):
                ask = f"{asset} was told late" if order == "older" else f"{asset} may have been told late"
                is_unsure = True
                late |= with_late(late, asset, amounts, time, before)
                continue
            if order == "older":
                continue
        filled = _filled(amounts, before)
        if _lacks(filled, before) and (before is None or filled != before.held.amounts):
            ask = f"the stream says only part of {asset}"
        missing.pop(asset, None)
        late.pop(asset, None)
        held = _held(asset, filled, frame)
        if before is not None and before.held.received > held.received:
            held = replace(held, received=before.held.received)  # a part of it is known since then only
        known[asset] = _known(held, frame.received if frame.asked is None else frame.asked, frame.received, before)
        if before is None or _differs(before.held, held):
            changed.append(held)
    # Whoever tells an amount has a wallet that is not empty.
    empty = 0 if any(one.is_something for one in frame.amounts.values()) else state.empty
    lag, gone = with_frame(state.lag, frame), _said_gone(state, frame)
    told = replace(state, known=known, missing=missing, empty=empty, lag=lag, gone=gone, late=late)
    return Merged(told, tuple(changed), ask, unsure=is_unsure)


def _said_gone(state: WalletState, arrival: Snapshot | Updated) -> frozenset[str]:
    """Whoever names an amount takes it back."""
    said = frozenset(asset for asset, amounts in arrival.amounts.items() if amounts.is_nothing)
    return state.gone - arrival.amounts.keys() | (said if _is_frame(arrival) else frozenset())


def _is_frame(arrival: Snapshot | Updated) -> bool:
    return isinstance(arrival, Updated) or arrival.source == "stream"


def _filled(amounts: Amounts, before: Known | None) -> Amounts:
    """What the frame leaves out still holds only when what it says has not changed."""
    if before is None:
        return amounts
    kept = before.held.amounts
    if all(new is None or new == old for new, old in zip(amounts, kept, strict=True)):
        return kept
    # Debt changes by borrowing alone, of which venues tell apart from trades.
    return amounts if amounts.debt is not None else amounts._replace(debt=kept.debt)


def _lacks(amounts: Amounts, before: Known | None) -> bool:
    """Whether a part is missing that the venue says elsewhere; some never say what is free."""
    if before is None or before.held.source == "stream":
        return amounts.free is None or amounts.total is None
    was = before.held.amounts
    return any(new is None and old is not None for new, old in ((amounts.free, was.free), (amounts.total, was.total)))


# --- both ------------------------------------------------------------------------------------------------------------


def _held(asset: str, amounts: Amounts, arrival: Snapshot | Updated) -> AssetBalance:
    return AssetBalance(
        slot=Slot(arrival.wallet, asset),
        amounts=amounts,
        measure=arrival.measure,
        source=arrival.source if isinstance(arrival, Snapshot) else "stream",
        received=arrival.time,
        venue_time=arrival.time_of(asset),
    )


def _known(held: AssetBalance, as_of: float, seen: float, before: Known | None) -> Known:
    answered = seen if held.source == "rest" else float("-inf")
    if before is None:
        return Known(held, as_of, seen, held.venue_time, answered)
    time, set_back = newest(held.venue_time, before), before.set_back
    if held.venue_time is not None and held.venue_time != time and _differs(before.held, held):
        time, set_back = held.venue_time, seen  # believed with an older time: by that clock all else will come, too
    as_of, answered = max(as_of, before.as_of), max(answered, before.answered)
    return Known(held, as_of, max(seen, before.seen), time, answered, set_back)


def _differs(before: AssetBalance, after: AssetBalance) -> bool:
    return before.amounts != after.amounts or before.measure != after.measure
