"""How amounts become JSON: as strings or as numbers, with as many digits as they have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson


def encoded(payload: Any, *, places: int = 0, numbers: bool = False) -> bytes:
    """JSON; every `Decimal` becomes a string (a number where `numbers`) with at least so many places, never rounded."""

    def amount(value: Any) -> Any:
        if not isinstance(value, Decimal):
            raise TypeError(f"{type(value).__name__} is no JSON")
        text = shown(value, places)
        # A number is written out by hand: a float would lose the digits before they leave the house.
        return orjson.Fragment(text) if numbers else text

    return orjson.dumps(payload, default=amount)


def shown(value: Decimal, places: int = 0) -> str:
    """Plain digits, no exponent, trailing zeros only as far as `places` asks for."""
    text = format(value or Decimal(0), "f")  # there is no negative zero
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole
