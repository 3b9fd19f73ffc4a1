"""The capability table: which venues are known well, and what is made of all others that ccxt knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from indexer.clients.exchange.dialects.binance import BINANCE
from indexer.clients.exchange.dialects.bybit import BYBIT
from indexer.clients.exchange.dialects.deribit import DERIBIT
from indexer.clients.exchange.dialects.dialect import Dialect
from indexer.clients.exchange.dialects.hyperliquid import HYPERLIQUID
from indexer.clients.exchange.dialects.kraken import KRAKEN
from indexer.clients.exchange.dialects.okx import OKX

DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.exchange: dialect for dialect in (BINANCE, OKX, BYBIT, KRAKEN, DERIBIT, HYPERLIQUID)
}


def dialect_of(exchange: str) -> Dialect | None:
    """How to talk to this exchange; nothing where nobody taught us."""
    return DIALECTS.get(exchange)
