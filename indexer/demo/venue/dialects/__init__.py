"""The venues whose language this one speaks."""

from __future__ import annotations

from collections.abc import Mapping

from indexer.demo.venue.dialects.base import Dialect
from indexer.demo.venue.dialects.binance import Binance
from indexer.demo.venue.dialects.bybit import Bybit
from indexer.demo.venue.dialects.deribit import Deribit
from indexer.demo.venue.dialects.hyperliquid import Hyperliquid
from indexer.demo.venue.dialects.kraken import Kraken
from indexer.demo.venue.dialects.okx import Okx

DIALECTS: Mapping[str, type[Dialect]] = {
    each.name: each for each in (Binance, Bybit, Deribit, Hyperliquid, Kraken, Okx)
}

__all__ = ["DIALECTS", "Dialect"]
