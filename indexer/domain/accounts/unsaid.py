"""Assets that an answer names without their amount: they are there, and may hold another amount than is known."""

from __future__ import annotations

from collections.abc import Mapping

from indexer.domain.accounts.amounts import Amounts, Slot
from indexer.domain.accounts.arrivals import Snapshot
from indexer.domain.accounts.order import Known


def unsaid(snapshot: Snapshot, known: Mapping[str, Known]) -> frozenset[str]:
    return frozenset(
        asset for asset, amounts in snapshot.amounts.items() if _says_less(amounts, _known(known.get(asset)))
    )


def held(snapshot: Snapshot, known: Mapping[str, Known]) -> tuple[Slot, ...]:
    """Those in which something was."""
    return tuple(
        Slot(snapshot.wallet, asset)
        for asset in sorted(unsaid(snapshot, known))
        if _known(known.get(asset)) is not None
    )


def _known(one: Known | None) -> Amounts | None:
    return None if one is None or one.held.amounts.is_nothing else one.held.amounts


def _says_less(said: Amounts, known: Amounts | None) -> bool:
    """No amount at all, or only what is free of one whose total is known: the one is not the other."""
    return said.balance is None or (said.total is None and known is not None and known.total is not None)
