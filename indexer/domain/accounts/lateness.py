"""How late frames are, and what is late for good: held up on its way, or told by a clock that was set back since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from indexer.domain.accounts.amounts import Amounts
from indexer.domain.accounts.arrivals import Snapshot, Updated
from indexer.domain.accounts.order import SOON_SECONDS, Known, Lag, contradicts


class Late(NamedTuple):
    """What a frame said whose time was older than what was known: it was held up, or the venue's clock went back."""

    amounts: Amounts
    time: datetime


Lates = Mapping[str, tuple[Late, ...]]
"""By asset, oldest first."""

MOST_LATE: Final = 16
"""So many of an asset are kept: on a busy stream others come between the frame and the answer that says the same."""


def went_back(late: Sequence[Late], said: Amounts, time: datetime | None, asked: float, known: Known) -> bool:
    """Whether an answer agrees with a frame, against what is known, on an older time.

    Then it is the clock that is not as it was: a frame that is held up, and books that are behind by more than they
    ever are, would both have to be of the same moment.
    """
    if time is None or known.newest is None or time >= known.newest or asked - known.seen < SOON_SECONDS:
        return False
    return any(one.time <= time and not contradicts(one.amounts, said) for one in late)


def with_late(late: Lates, asset: str, amounts: Amounts, time: datetime | None, before: Known) -> Lates:
    """What this asset is said to be now, by a time that is older than that of the newest word."""
    if time is None or before.newest is None or time >= before.newest:
        return {}
    return {asset: (*late.get(asset, ()), Late(amounts, time))[-MOST_LATE:]}


def late_after(late: Lates, snapshot: Snapshot, before: Mapping[str, Known], known: Mapping[str, Known]) -> Lates:
    """Of what is told anew nothing is late any more; what a new subscription begins with may be."""
    left = dict(late)
    for asset, amounts in snapshot.amounts.items():
        was = before.get(asset)
        if known.get(asset) is not was:
            left.pop(asset, None)
        elif was is not None and snapshot.source == "stream":
            left |= with_late(left, asset, amounts, snapshot.time_of(asset), was)
    return left


def lag_after(lag: Lag, snapshot: Snapshot, known: Mapping[str, Known]) -> Lag:
    """How long frames took by a clock that was set back since says nothing."""
    if any(one.set_back == snapshot.received for one in known.values()):
        lag = Lag()
    return with_frame(lag, snapshot) if snapshot.source == "stream" else lag


def with_frame(lag: Lag, frame: Snapshot | Updated) -> Lag:
    time = max(filter(None, (frame.venue_time, *frame.times.values())), default=None)
    return lag if time is None else lag.with_one((frame.time - time).total_seconds(), frame.received)


def placed(lag: Lag, frame: Snapshot | Updated, time: datetime | None) -> tuple[float, float]:
    """Not before the one, not after the other it happened, on our clock, as far as its time tells."""
    if time is None:
        return frame.received, frame.received
    seconds = (frame.time - time).total_seconds()
    return frame.received - lag.at_most(seconds), frame.received - lag.beyond(seconds)
