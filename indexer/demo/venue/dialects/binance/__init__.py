"""Binance: spot, margin, funding, Simple Earn and USD-M futures."""

from indexer.demo.venue.dialects.binance.dialect import Binance

__all__ = ["Binance"]
