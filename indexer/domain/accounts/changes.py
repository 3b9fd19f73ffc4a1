"""Which movements are worth a `balance.changed`: those beyond a threshold, measured from what was last told so."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final

from indexer.domain.accounts.amounts import less
from indexer.domain.accounts.facts import AssetChanged, AssetUpdated

_EXACT: Final = Context(prec=400)


@dataclass(frozen=True, slots=True)
class ChangeThreshold:
    """Both have to be passed; 0 is passed by any change."""

    absolute: Decimal = Decimal(0)
    percent: Decimal = Decimal(1)

    def is_passed(self, before: Decimal, after: Decimal) -> bool:
        moved = less(after, before).copy_abs()
        if not moved or moved < self.absolute:
            return False
        return _EXACT.multiply(moved, Decimal(100)) >= _EXACT.multiply(before.copy_abs(), self.percent)


def measured_from(fact: AssetUpdated | AssetChanged) -> Decimal | None:
    """Where this fact begins anew: it was told as changed, is the first one, or the first of another measure.

    All others go on from what was.
    """
    if isinstance(fact, AssetChanged):
        return fact.balance
    return fact.held.amounts.balance if fact.previous is None else None
