"""OKX: the trading account, funding and earn."""

from indexer.demo.venue.dialects.okx.dialect import Okx

__all__ = ["Okx"]
