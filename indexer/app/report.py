"""How the service is doing, in the words of `/status`, `/health` and `/ready`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from actors.statusboard import StatusBoard
from indexer.app.hidden import Hidden
from indexer.domain.health.status import StreamStatus
from indexer.domain.telling.streams import chain_of, is_history
from indexer.domain.times import time_text


class ServiceReport:
    """Reads the status board; knows which streams there should be."""

    def __init__(
        self,
        *,
        board: StatusBoard,
        version: str,
        store: str,
        expected: Callable[[], Mapping[str, str]],
        told: Callable[[], Mapping[str, int]],
        nats: Callable[[], Mapping[str, Any] | None] = lambda: None,
        cache: Callable[[], Mapping[str, Any] | None] = lambda: None,
        hidden: Callable[[], Hidden] = Hidden,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._version = version
        self._store = store
        self._expected = expected
        self._told = told
        self._nats = nats
        self._cache = cache
        self._hidden = hidden
        self._clock = clock
        self._started = clock()
        self._loaded_at = datetime.now(UTC)
        self._problems: tuple[str, ...] = ()
        self._ills: dict[str, str] = {}

    def streams(self) -> Sequence[StreamStatus]:
        """Numbers are those that were told, whatever a stream says of itself."""
        known, told = {status.stream: status for status in self._board.streams()}, self._told()
        expected = (known.get(stream, StreamStatus(stream, name)) for stream, name in self._expected().items())
        return tuple(replace(status, seq=told.get(status.stream, 0)) for status in expected)

    def service(self) -> Mapping[str, Any]:
        return {
            "version": self._version,
            "uptimeSeconds": round(self._clock() - self._started, 3),
            "store": self._store,
            "nats": self._nats(),
            "exchangeCache": self._cache(),
            "config": {
                "loadedAt": time_text(self._loaded_at),
                "problems": list(self._problems),
                "hidden": self._hidden().json(),
            },
        }

    def loaded(self) -> None:
        self._loaded_at, self._problems = datetime.now(UTC), ()

    def refused(self, problems: Sequence[str]) -> None:
        """A newer file cannot be applied: the older one stays in force, and this says why."""
        self._problems = tuple(problems)

    def ill(self, part: str, why: str | None) -> None:
        """A part that every stream needs does not work, or (with nothing) works again."""
        if why is None:
            self._ills.pop(part, None)
        else:
            self._ills[part] = why

    def health_problems(self) -> Sequence[str]:
        return tuple(f"{part}: {why}" for part, why in self._ills.items())

    def unready(self, chain_id: int | None = None) -> Sequence[str]:
        streams = [status for status in self.streams() if chain_id in (None, chain_of(status.stream))]
        waited_for = [status for status in streams if not is_history(status.stream)]
        return (*self.health_problems(), *(_reason(status) for status in waited_for if not status.ready))


def _reason(status: StreamStatus) -> str:
    why = f": {status.last_error}" if status.last_error else ""
    lag = f", {status.lag_blocks} blocks behind" if status.lag_blocks else ""
    return f"{status.stream} ({status.name}) is {status.state.replace('_', ' ')}{lag}{why}"
