"""Bybit: the unified account, funding and earn."""

from indexer.demo.venue.dialects.bybit.dialect import Bybit

__all__ = ["Bybit"]
