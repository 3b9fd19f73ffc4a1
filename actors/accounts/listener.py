"""The task beside an account's inbox that hears the venue's stream: while the key is good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from actors.accounts.venue import Venue
from indexer.domain.accounts.arrivals import Arrival

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Listener:
    """Begun and ended as often as one likes; a stream is one task at most."""

    def __init__(self, venue: Venue, spawn: Spawn, heard: Callable[[Arrival], None], name: str) -> None:
        self._venue = venue
        self._spawn = spawn
        self._heard = heard
        self._name = name
        self._task: asyncio.Task[None] | None = None

    @property
    def is_listening(self) -> bool:
        return self._task is not None

    def begin(self) -> None:
        if self._task is None and self._venue.streamed:
            self._task = self._spawn(self._venue.listen(self._heard), f"listen {self._name}")

    def end(self) -> None:
        """A refused key that goes on logging in gets its address banned."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
