"""Hyperliquid: spot and perpetuals, readable by everyone who knows the address."""

from indexer.demo.venue.dialects.hyperliquid.dialect import Hyperliquid

__all__ = ["Hyperliquid"]
