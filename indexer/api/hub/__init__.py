"""The websocket: every committed event to whoever subscribed, without one of them waiting for another."""

from indexer.api.hub.hub import Hub
from indexer.api.hub.limits import Limits

__all__ = ["Hub", "Limits"]
