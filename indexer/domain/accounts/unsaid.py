"""Assets that are named without their amount: they are there, and may hold another amount than is known.

What was something stays as it was, marked; of what was nothing it is told that nobody says what it is now.
"""

from __future__ import annotations

from collections.abc import Mapping

from indexer.domain.accounts.amounts import Amounts, Slot
from indexer.domain.accounts.arrivals import Snapshot, Updated
from indexer.domain.accounts.order import Known


def unsaid(arrival: Snapshot | Updated, known: Mapping[str, Known]) -> frozenset[str]:
    """Those that are left as they are."""
    return frozenset(asset for asset, amounts in arrival.amounts.items() if _says_less(amounts, known.get(asset)))


def said(frame: Updated, known: Mapping[str, Known]) -> tuple[Mapping[str, Amounts], str | None]:
    """The others, and why to ask for these."""
    left = unsaid(frame, known)
    if not left:
        return frame.amounts, None
    others = {asset: amounts for asset, amounts in frame.amounts.items() if asset not in left}
    return others, f"the stream names {min(left)} without its amount"


def held(snapshot: Snapshot, known: Mapping[str, Known]) -> tuple[Slot, ...]:
    """Those in which something was."""
    return tuple(Slot(snapshot.wallet, asset) for asset in sorted(unsaid(snapshot, known)) if asset in known)


def _says_less(said: Amounts, known: Known | None) -> bool:
    """No amount at all, or only what is free of one whose total is known: the one is not the other."""
    if known is None:
        return said.balance is None
    was = known.held.amounts
    return was.is_something and (said.balance is None or (said.total is None and was.total is not None))
