"""Events to NATS: the only place that imports nats-py."""

from indexer.bus.bus import NatsBus
from indexer.bus.login import Login
from indexer.bus.streams import StreamPlan

__all__ = ["Login", "NatsBus", "StreamPlan"]
