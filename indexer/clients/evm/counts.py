"""What was asked of whom, and how it went; metrics read it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """Only ever growing. An `outcome` is `ok` or the name of one of our errors."""

    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """JSON-RPC calls by (endpoint, method, outcome)."""
    round_trips: Counter[str] = field(default_factory=Counter)
    """HTTP requests by endpoint."""
    switches: int = 0
    """How often another endpoint than before answered."""
    reconnects: int = 0
    """Websockets opened after the first."""
    hints: int = 0
    """Transfer logs heard over the websocket."""

    @property
    def trips(self) -> int:
        return self.round_trips.total()
