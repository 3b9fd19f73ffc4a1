"""What is known of a wallet, and what an arrival may come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from indexer.domain.accounts.amounts import Amounts, AssetBalance, Measure, Slot, Source
from indexer.domain.accounts.arrivals import Snapshot, Updated
from indexer.domain.accounts.lateness import Lates
from indexer.domain.accounts.order import Known, Lag, newest


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
    quarantined: bool = False
    """Whether nothing of a snapshot is believed: then it is no answer at all."""


def restored(balances: Mapping[str, AssetBalance], seen: Mapping[str, float] | None = None) -> WalletState:
    """What an earlier life committed, a base to compare with; `seen` is when that was, on the clock of this life."""
    measures, never = {held.measure for held in balances.values()}, float("-inf")
    moments = {asset: (seen or {}).get(asset, never) for asset in balances}
    return WalletState(
        known={
            asset: Known(held, held.source, moments[asset], moments[asset], held.venue_time, moments[asset])
            for asset, held in balances.items()
        },
        measure=measures.pop() if len(measures) == 1 else None,
    )


def held_of(asset: str, amounts: Amounts, arrival: Snapshot | Updated) -> AssetBalance:
    return AssetBalance(
        slot=Slot(arrival.wallet, asset),
        amounts=amounts,
        measure=arrival.measure,
        source=arrival.source if isinstance(arrival, Snapshot) else "stream",
        received=arrival.time,
        venue_time=arrival.time_of(asset),
    )


def known_after(held: AssetBalance, by: Source, as_of: float, seen: float, before: Known | None) -> Known:
    answered = seen if by == "rest" else float("-inf")
    if before is None:
        return Known(held, by, as_of, seen, held.venue_time, answered)
    time, set_back = newest(held.venue_time, before), before.set_back
    if held.venue_time is not None and held.venue_time != time and differs(before.held, held):
        time, set_back = held.venue_time, seen  # believed with an older time: by that clock all else will come, too
    as_of, answered = max(as_of, before.as_of), max(answered, before.answered)
    return Known(held, by, as_of, max(seen, before.seen), time, answered, set_back)


def differs(before: AssetBalance, after: AssetBalance) -> bool:
    return before.amounts != after.amounts or before.measure != after.measure


def said_gone(state: WalletState, arrival: Snapshot | Updated) -> frozenset[str]:
    """Whoever names an amount takes it back."""
    said = frozenset(asset for asset, amounts in arrival.amounts.items() if amounts.is_nothing)
    return state.gone - arrival.amounts.keys() | (said if _is_frame(arrival) else frozenset())


def _is_frame(arrival: Snapshot | Updated) -> bool:
    return isinstance(arrival, Updated) or arrival.source == "stream"
