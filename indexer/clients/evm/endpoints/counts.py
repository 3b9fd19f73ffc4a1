"""What was asked of whom, and how it went; metrics are told as it happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from indexer.clients.evm.asking.calls import Call, Reply

Health = Literal["well", "aside", "lost"]
"""`aside`: it answers, but not what the others know; it is asked last."""


def ignored(*_: object) -> None:
    """For those who do not want to be told."""


@dataclass(slots=True)
class Counts:
    """Only ever growing. An `outcome` is `ok` or the name of one of our errors."""

    on_request: Callable[[str, str, str, float], None] = ignored
    """Told endpoint, method (`batch` for several calls in one request), outcome and seconds of an HTTP request."""
    on_switch: Callable[[], None] = ignored
    on_reconnect: Callable[[], None] = ignored
    on_hedge: Callable[[], None] = ignored
    on_health: Callable[[str, Health], None] = ignored
    """Told an endpoint and how it is, whenever that changes."""
    on_pace: Callable[[str, float], None] = ignored
    """Told an endpoint and how many calls a second we allow ourselves there, whenever that is decided anew."""
    on_other_block: Callable[[str], None] = ignored
    """Told an endpoint that answered a read for another block than the one asked for."""
    on_left_out: Callable[[str, int], None] = ignored
    """Told how many logs were left out of an answer, and by what they were found: `asked_again` or `hint`."""
    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """JSON-RPC calls by (endpoint, method, outcome)."""
    round_trips: Counter[str] = field(default_factory=Counter)
    """HTTP requests by endpoint."""
    switches: int = 0
    """How often another endpoint than before answered."""
    hedges: int = 0
    """How often a second endpoint was asked because the first one took long."""
    other_blocks: int = 0
    """Reads that were answered for another block."""
    reconnects: int = 0
    """Websockets opened after the first."""
    hints: int = 0
    """Transfer logs heard over the websocket."""

    @property
    def trips(self) -> int:
        return self.round_trips.total()

    def answered(self, endpoint: str, calls: Sequence[Call], replies: Sequence[Reply], seconds: float) -> None:
        """An HTTP request went well, whatever its single calls came to."""
        for call, reply in zip(calls, replies, strict=True):
            self.calls[endpoint, call.method, "ok" if reply.error is None else type(reply.error).__name__] += 1
        self._travelled(endpoint, calls, "ok", seconds)

    def refused(self, endpoint: str, calls: Sequence[Call], outcome: str, seconds: float) -> None:
        """An HTTP request failed as a whole."""
        for call in calls:
            self.calls[endpoint, call.method, outcome] += 1
        self._travelled(endpoint, calls, outcome, seconds)

    def switched(self) -> None:
        self.switches += 1
        self.on_switch()

    def hedged(self) -> None:
        self.hedges += 1
        self.on_hedge()

    def other_block(self, endpoint: str) -> None:
        self.other_blocks += 1
        self.on_other_block(endpoint)

    def reconnected(self) -> None:
        self.reconnects += 1
        self.on_reconnect()

    def _travelled(self, endpoint: str, calls: Sequence[Call], outcome: str, seconds: float) -> None:
        self.round_trips[endpoint] += 1
        self.on_request(endpoint, calls[0].method if len(calls) == 1 else "batch", outcome, seconds)
