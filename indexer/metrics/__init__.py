"""What the service counts about itself, for Prometheus: base units, bounded labels, never an address."""

from indexer.metrics.bus import BusMetrics
from indexer.metrics.chains import STAGES, ChainMetrics, Stage
from indexer.metrics.exchanges import ExchangeMetrics
from indexer.metrics.registry import Metrics

__all__ = ["STAGES", "BusMetrics", "ChainMetrics", "ExchangeMetrics", "Metrics", "Stage"]
