"""Kraken's names: XBT for BTC, and an X before the coins of its first years."""

from __future__ import annotations

_PLAIN = {"BTC": "XBT", "DOGE": "XDG"}
_OLD = ("XBT", "XDG", "ETH", "LTC", "XRP", "XLM", "ETC")


def plain(asset: str) -> str:
    return _PLAIN.get(asset, asset)


def asset_id(asset: str) -> str:
    name = plain(asset)
    return f"X{name}" if name in _OLD else name
