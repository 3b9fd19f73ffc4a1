"""The capability table: which venues are known well, and what is made of all others that ccxt knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from indexer.clients.exchange.dialects.binance import BINANCE
from indexer.clients.exchange.dialects.dialect import Dialect

DIALECTS: Final[Mapping[str, Dialect]] = {dialect.exchange: dialect for dialect in (BINANCE,)}


def dialect_of(exchange: str) -> Dialect | None:
    """How to talk to this exchange; nothing where nobody taught us."""
    return DIALECTS.get(exchange)
