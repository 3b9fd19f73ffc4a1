"""Deribit: one margin account per currency."""

from indexer.demo.venue.dialects.deribit.dialect import Deribit

__all__ = ["Deribit"]
