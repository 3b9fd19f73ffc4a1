"""What is traded: a few markets that people know, then as many made-up ones as asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

_KNOWN = ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "ADA", "LINK", "AVAX", "DOT", "LTC", "UNI", "AAVE", "ARB", "OP")
_STABLE = ("USDT", "USDC")


@dataclass(frozen=True, slots=True)
class Pair:
    """One market; with `settle` a perpetual one."""

    base: str
    quote: str
    settle: str = ""

    @property
    def symbol(self) -> str:
        """As ccxt writes it."""
        return f"{self.base}/{self.quote}" + (f":{self.settle}" if self.settle else "")


class Markets:
    """The pairs of a venue: `count` in all, two of three for spot."""

    def __init__(self, count: int) -> None:
        self._count = max(count, 4)

    @cached_property
    def bases(self) -> tuple[str, ...]:
        made = self._count - len(_KNOWN)
        return (*_KNOWN, *(f"T{number:04d}" for number in range(1, made + 1)))[: self._count]

    @cached_property
    def assets(self) -> tuple[str, ...]:
        return (*_STABLE, *self.bases)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The place of each asset, for venues that count their coins."""
        return {asset: number for number, asset in enumerate(("USDC", *self.bases))}

    @cached_property
    def spot(self) -> tuple[Pair, ...]:
        pairs = tuple(Pair(base, quote) for base in self.bases for quote in _STABLE)
        return pairs[: self._count * 2 // 3]

    @cached_property
    def swaps(self) -> tuple[Pair, ...]:
        return tuple(Pair(base, "USDT", "USDT") for base in self.bases[: self._count - self._count * 2 // 3])

    def perpetuals(self, settle: str) -> tuple[Pair, ...]:
        """As many as `swaps`, settled in another asset."""
        return tuple(Pair(pair.base, settle, settle) for pair in self.swaps)
