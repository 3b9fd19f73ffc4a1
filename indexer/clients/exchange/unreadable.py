"""Amounts that are no numbers, kept to their asset: ccxt's sums of them would fail the whole answer.

An amount that cannot be read becomes none that is believed (`NaN`), which validation keeps out and tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from indexer.clients.exchange.dialects.values import number
from indexer.errors import BadAnswer

_UNREADABLE: Final = Decimal("NaN")
_PARTS: Final = ("free", "used", "total", "debt")
_COLUMNS: Final = ("free", "used", "total")
"""Those that ccxt makes of the assets, wherever there is one."""


def amount(text: Any) -> Decimal | None:
    """What the venue wrote, `NaN` where that is no number, and nothing where it wrote nothing."""
    try:
        found = number(text)
    except BadAnswer:
        return _UNREADABLE
    return found if found is None or found.is_finite() else _UNREADABLE  # of infinities there are no sums


def safe_balance(base: Any, exchange: Any, balance: dict[str, Any]) -> Any:
    """What ccxt makes of all assets with readable amounts, and beside it those without."""
    unreadable = {code: parts for code, parts in balance.items() if _is_unreadable(code, parts)}
    made = base.safe_balance(exchange, {code: parts for code, parts in balance.items() if code not in unreadable})
    for code in unreadable:
        made[code] = dict.fromkeys(_COLUMNS, str(_UNREADABLE))
        for column in _COLUMNS:
            made[column][code] = str(_UNREADABLE)
    return made


def _is_unreadable(code: str, parts: Any) -> bool:
    if code in ("info", *_COLUMNS) or not isinstance(parts, Mapping):
        return False
    found = (amount(parts.get(part)) for part in _PARTS)
    return not all(each is None or each.is_finite() for each in found)
