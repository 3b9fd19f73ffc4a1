"""Kraken: spot."""

from indexer.demo.venue.dialects.kraken.dialect import Kraken

__all__ = ["Kraken"]
