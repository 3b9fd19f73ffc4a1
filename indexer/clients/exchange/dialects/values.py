"""What stands in answers and frames: exactly as the venue wrote it, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from indexer.clients.exchange.dialects.naming import told_apart, usual_name
from indexer.clients.exchange.dialects.told import Exchange, Found
from indexer.domain.accounts.amounts import Amounts, less, plus
from indexer.errors import BadAnswer

_MOST_PLACES: Final = 300
"""So far from the point no venue writes a digit; sums of such numbers would fill the memory."""


def number(text: Any) -> Decimal | None:
    """Exactly what the venue wrote; nothing where it wrote nothing, `NaN` where nobody could count with it."""
    if text is None or text == "":
        return None
    if isinstance(text, float):
        raise BadAnswer("a number that was a float on its way")
    try:
        found = Decimal(str(text))
    except InvalidOperation:
        raise BadAnswer(f"{str(text)[:40]!r} where a number belongs") from None
    return Decimal("NaN") if found.is_nan() or (found.is_finite() and abs(found.adjusted()) > _MOST_PLACES) else found


def required(row: Mapping[str, Any], name: str) -> Decimal:
    """A number without which the answer is none."""
    found = number(row.get(name))
    if found is None:
        raise BadAnswer(f"an amount without {name}")
    return found


def rows_of(answer: Any, *path: str) -> list[Mapping[str, Any]]:
    """The list at this place of an answer; an answer without it is none, and never an empty wallet."""
    for name in path:
        if not isinstance(answer, Mapping) or name not in answer:
            raise BadAnswer(f"an answer without {name}")
        answer = answer[name]
    if not isinstance(answer, list) or not all(isinstance(row, Mapping) for row in answer):
        raise BadAnswer(f"an answer whose {path[-1] if path else 'content'} is no list")
    return answer


def milliseconds(text: Any) -> datetime | None:
    """A venue's time, where it says one."""
    found = number(text)
    return None if not found else datetime.fromtimestamp(int(found) / 1000, UTC)


def times_of(exchange: Exchange, rows: Iterable[Mapping[str, Any]], name: str, time: str) -> dict[str, datetime]:
    """When each asset changed, where its row says so."""
    told = ((code_of(exchange, row, name), milliseconds(row.get(time))) for row in rows)
    return {asset: changed for asset, changed in told if changed is not None}


def summed(amounts: Iterable[tuple[str, Amounts]]) -> dict[str, Amounts]:
    """Several lines of one asset as one, where each part is known in all of them."""
    found: dict[str, Amounts] = {}
    for asset, more in amounts:
        before = found.get(asset)
        found[asset] = more if before is None else Amounts(*map(added, before, more))
    return found


def added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """The sum, where both were said."""
    return None if one is None or other is None else plus(one, other)


def taken(whole: Decimal | None, part: Decimal | None) -> Decimal | None:
    """The rest, where both were said."""
    return None if whole is None or part is None else less(whole, part)


def stated(found: Found) -> Found:
    """Of all that is named at least one has an amount; an answer in which none has is none."""
    if found.amounts and all(amounts.balance is None for amounts in found.amounts.values()):
        raise BadAnswer("an answer that names assets without their amounts")
    return found


def code_of(exchange: Exchange, row: Mapping[str, Any], name: str) -> str:
    """The asset's usual name."""
    return usual_name(exchange, name_of(row, name))


def name_of(row: Mapping[str, Any], name: str) -> str:
    """The asset's name at the venue."""
    found = row.get(name)
    if not isinstance(found, str) or not found:
        raise BadAnswer(f"an amount without its {name}")
    return found


def by_asset(
    exchange: Exchange, rows: Iterable[Mapping[str, Any]], name: str, amounts: Callable[[Mapping[str, Any]], Amounts]
) -> dict[str, Amounts]:
    """What each row says, by the usual name of its asset."""
    return told_apart((name_of(row, name), code_of(exchange, row, name), amounts(row)) for row in rows)
