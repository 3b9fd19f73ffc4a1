"""That we live, and where every stream is: said again and again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from indexer.api.hub.connection import Connection
from indexer.api.hub.frames import json_frame
from indexer.api.hub.positions import Positions
from indexer.api.hub.sources import Streams
from indexer.domain.health.status import StreamStatus
from indexer.domain.times import time_text, unix_text


class Heart:
    """Beats every so many seconds, from its first beat on."""

    def __init__(
        self, *, status: Streams, positions: Positions, clock: Callable[[], datetime], seconds: float, first: float
    ) -> None:
        self._status = status
        self._positions = positions
        self._clock = clock
        self._seconds = seconds
        self._due = first

    def beat(self, now: float, subscribed: Collection[Connection]) -> None:
        """If it is time; one that fails is made up for at once."""
        if now < self._due:
            return
        if subscribed:
            self._tell(subscribed)
        self._due = now + self._seconds

    def _tell(self, subscribed: Collection[Connection]) -> None:
        """To each who has nothing waiting: `seq` says that everything up to it was sent."""
        statuses, now = self._status.streams(), self._clock()
        level = heartbeat(statuses, now, self._positions.now())
        for connection in subscribed:
            if not connection.outbox.idle:
                continue
            behind = connection.behind()
            connection.outbox.say(level if behind is None else heartbeat(statuses, now, behind))


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
