"""A frame of a stream, merged into what is known of its wallet: a whole new amount, or a reason to ask."""

from __future__ import annotations

from dataclasses import replace

from indexer.domain.accounts import unsaid
from indexer.domain.accounts.amounts import Amounts, AssetBalance
from indexer.domain.accounts.arrivals import Updated
from indexer.domain.accounts.lateness import placed, with_frame, with_late
from indexer.domain.accounts.order import Known, Word, compared, contradicts
from indexer.domain.accounts.state import Merged, WalletState, differs, held_of, known_after, said_gone


def update(state: WalletState, frame: Updated) -> Merged:
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
        held = _held(asset, amounts, filled, frame, before)
        as_of = frame.received if frame.asked is None else frame.asked
        known[asset] = known_after(held, "stream", as_of, frame.received, before)
        if before is None or differs(before.held, held):
            changed.append(held)
    # Whoever tells an amount has a wallet that is not empty.
    empty = 0 if any(one.is_something for one in frame.amounts.values()) else state.empty
    lag, gone = with_frame(state.lag, frame), said_gone(state, frame)
    told = replace(state, known=known, missing=missing, empty=empty, lag=lag, gone=gone, late=late)
    return Merged(told, tuple(changed), ask, unsure=is_unsure)


def _filled(amounts: Amounts, before: Known | None) -> Amounts:
    """What the frame leaves out still holds only when what it says has not changed."""
    if before is None:
        return amounts
    kept = before.held.amounts
    if all(new is None or new == old for new, old in zip(amounts, kept, strict=True)):
        return kept
    # Debt changes by borrowing alone, of which venues tell apart from trades.
    return amounts if amounts.debt is not None else amounts._replace(debt=kept.debt)


def _held(asset: str, told: Amounts, filled: Amounts, frame: Updated, before: Known | None) -> AssetBalance:
    """Where no more than a part of what is known is repeated, the whole is still as it was told before."""
    held = held_of(asset, filled, frame)
    if before is None:
        return held
    if before.held.received > held.received:
        held = replace(held, received=before.held.received)  # a part of it is known since then only
    is_repeated = filled == before.held.amounts and filled != told
    return replace(held, source=before.held.source) if is_repeated else held


def _lacks(amounts: Amounts, before: Known | None) -> bool:
    """Whether a part is missing that the venue says elsewhere; some never say what is free."""
    if before is None or before.by == "stream":
        return amounts.free is None or amounts.total is None
    was = before.held.amounts
    return any(new is None and old is not None for new, old in ((amounts.free, was.free), (amounts.total, was.total)))
