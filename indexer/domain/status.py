"""How a stream is doing, as operators and clients are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

StreamState = Literal["starting", "catching_up", "live", "stale", "suspended", "stopped"]


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream's newest word on itself. `ready` once all first balances were committed and told."""

    stream: str
    name: str
    state: StreamState = "starting"
    ready: bool = False
    block: int | None = None
    block_time: datetime | None = None
    newest_block: int | None = None
    behind_since: datetime | None = None
    endpoint: str | None = None
    heads: Literal["ws", "poll"] | None = None
    seq: int = 0
    restarts: int = 0
    last_error: str | None = None
    queue_depth: int = 0

    @property
    def lag_blocks(self) -> int:
        if self.block is None or self.newest_block is None:
            return 0
        return max(0, self.newest_block - self.block)

    def lag_seconds(self, now: datetime) -> float:
        """Seconds since a head that is not handled yet was first heard of; 0 when all are handled."""
        return 0.0 if self.behind_since is None else max(0.0, (now - self.behind_since).total_seconds())
