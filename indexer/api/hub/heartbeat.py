"""The frame that says that we live, and where every stream is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from indexer.api.hub.frames import json_frame
from indexer.domain.health.status import StreamStatus
from indexer.domain.times import time_text, unix_text


def heartbeat(statuses: Iterable[StreamStatus], now: datetime, seqs: Mapping[str, int]) -> bytes:
    """The frame of those who were told each stream up to its number in `seqs`."""
    return json_frame(
        {
            "type": "heartbeat",
            "time": time_text(now),
            "streams": {one.stream: _stream(one, now, seqs.get(one.stream, 0)) for one in statuses},
        }
    )


def _stream(status: StreamStatus, now: datetime, seq: int) -> Mapping[str, Any]:
    moment = status.block_time
    return {
        "block": status.block,
        "blockTime": None if moment is None else unix_text(int(moment.timestamp())),
        "lagSeconds": round(status.lag_seconds(now), 3),
        "state": status.state,
        "seq": seq,
    }
