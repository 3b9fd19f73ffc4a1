"""What an account holds, as far as anybody told us: snapshots and frames merged without a clock or a guess.

Three rules keep it true whatever comes late, twice, in another order or not at all. What was asked for before a newer
word came never overwrites that word. A frame is a whole new amount or only a reason to ask: nothing is ever added up.
And where two words contradict each other, the answer is to ask again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from indexer.domain.accounts import unsaid
from indexer.domain.accounts.amounts import NOTHING, Amounts, AssetBalance
from indexer.domain.accounts.arrivals import Moved, Snapshot, Updated
from indexer.domain.accounts.framing import update
from indexer.domain.accounts.lateness import lag_after, late_after, placed, went_back
from indexer.domain.accounts.order import Known, Word, compared, contradicts
from indexer.domain.accounts.state import Merged, WalletState, differs, held_of, known_after, said_gone

VANISHED_ONCE: Final = 2
"""So many snapshots in a row have to leave out an asset before it counts as gone."""

VANISHED_ALL: Final = 6
"""The same when a whole wallet is empty at once: that is what a broken answer looks like. A venue that lies in one of
ten answers passes once in a million."""

APART_SECONDS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""So long after the last of them the next one counts: what is asked again in between may be the same moment's lie."""

EMPTY_FROM_THE_START: Final = 3
"""Snapshots of nothing before a wallet of which nothing is known is believed to be empty."""


def merge(state: WalletState, arrival: Snapshot | Updated | Moved) -> Merged:
    match arrival:
        case Snapshot():
            return _take(state, arrival)
        case Updated():
            return update(state, arrival)
        case Moved(slot=slot):
            return Merged(state, ask=f"{slot.asset} moved")


def _take(state: WalletState, snapshot: Snapshot) -> Merged:
    if snapshot.asked <= state.asked:
        return Merged(state)
    is_empty = snapshot.complete and all(
        amounts.is_nothing or (amounts.balance is None and asset not in state.known)
        for asset, amounts in snapshot.amounts.items()
    )
    if is_empty and (doubted := _once_more_empty(state, snapshot)).empty < _needed(state, snapshot):
        reason = f"the {snapshot.wallet} wallet came back empty"
        return Merged(doubted, ask=reason, doubt=reason, quarantined=True)
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
        held = held_of(asset, amounts, snapshot)
        known[asset] = known_after(held, snapshot.source, snapshot.asked, snapshot.received, before)
        if before is None or differs(before.held, held):
            changed.append(held)
    drifted = tuple(held.slot for held in changed if state.is_based and held.slot.asset in state.known)
    gone = said_gone(state, snapshot)
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
            following = update(merged.state, frame)
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
