"""Binance's isolated margin: a little account for every pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.demo.venue.dialects.base import Ask, Route
from indexer.demo.venue.dialects.binance.limits import sapi
from indexer.demo.venue.state import EXACT, ZERO, Holding

_QUOTE = "USDT"


def routes() -> Mapping[tuple[str, str], Route]:
    return {("GET", "/sapi/v1/margin/isolated/account"): Route(_account, sapi(10))}


def _account(ask: Ask) -> Any:
    """Each coin has its pair; the cash lies in the first one."""
    held = ask.shown.holdings("isolated")
    bases = [asset for asset in held if asset != _QUOTE] or (["BTC"] if held else [])
    quotes = [held.get(_QUOTE, Holding()), *([Holding()] * len(bases))]
    pairs = [_pair(base, held.get(base, Holding()), quote) for base, quote in zip(bases, quotes, strict=False)]
    asked = ask.params.get("symbols", "")
    return {"assets": [pair for pair in pairs if not asked or pair["symbol"] in asked.split(",")]}


def _pair(base: str, held: Holding, quote: Holding) -> dict[str, Any]:
    return {
        "symbol": f"{base}{_QUOTE}",
        "isolatedCreated": True,
        "baseAsset": _side(base, held),
        "quoteAsset": _side(_QUOTE, quote),
        "marginLevel": "999.00000000",
        "marginLevelStatus": "EXCESSIVE",
        "marginRatio": "5.00000000",
        "indexPrice": "10000.00000000",
        "liquidatePrice": "0",
        "liquidateRate": "0",
        "tradeEnabled": True,
        "enabled": True,
    }


def _side(asset: str, held: Holding) -> dict[str, Any]:
    return {
        "asset": asset,
        "borrowEnabled": True,
        "borrowed": held.debt,
        "free": held.free,
        "interest": ZERO,
        "locked": held.used,
        "netAsset": EXACT.subtract(held.total, held.debt),
        "netAssetOfBtc": ZERO,
        "repayEnabled": True,
        "totalAsset": held.total,
    }
