"""What an asset is called here: one name for one asset, the same over REST and streams, today and tomorrow."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from indexer.domain.accounts.amounts import Amounts

_AMBIGUOUS: Final = Amounts(*(Decimal("NaN"),) * 3)


def usual_name(exchange: Any, name: str) -> str:
    """Ccxt's name, the same at every venue (`BTC` for `XXBT`); the venue's own where that has small letters.

    ccxt writes all in capitals, and these are what tells such an asset from another: `AAPLx` is not `AAPLX`.
    """
    return name if name != name.upper() else str(exchange.safe_currency_code(name))


def told_apart(rows: Iterable[tuple[str, str, Amounts]]) -> dict[str, Amounts]:
    """By the usual name, where rows are the venue's name, the usual one and the amounts.

    Of two assets that are held under one usual name (`UBTC` is called `BTC`, and so may another be) neither is
    believed: validation keeps `NaN` out, says so, and the other assets are told.
    """
    found: dict[str, tuple[str, Amounts]] = {}
    for name, usual, amounts in rows:
        before = found.get(usual)
        if before is None or before[0] == name or before[1].is_nothing:
            found[usual] = name, amounts
        elif not amounts.is_nothing:
            found[usual] = name, _AMBIGUOUS
    return {usual: amounts for usual, (_, amounts) in found.items()}
