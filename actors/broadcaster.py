"""Tells committed events, in order, to every sink; then hands them to the projector."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from actors.base import AsyncActor, Report
from actors.messages import Begin, Committed, Resumed
from actors.patience import patiently
from actors.positions import Positions
from actors.reading_on import read_on
from indexer.domain.telling.commits import Commit

log = structlog.get_logger(__name__)

PAGE = 100
"""Commits read at a time when the log has more than was told."""


class Log(Protocol):
    """Where commits that never reached the inbox are found."""

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]: ...

    async def positions(self) -> dict[str, int]: ...


class Sink(Protocol):
    """Takes every commit once and in order; must neither wait nor raise."""

    def deliver(self, commit: Commit) -> None: ...


class Broadcaster(AsyncActor):
    """One for all streams. A hole between what was told and what arrives is filled from the log."""

    def __init__(
        self,
        *,
        ledger: Log,
        sinks: Sequence[Sink],
        positions: Positions,
        project: Callable[[Commit], None],
        told: Callable[[Commit], None] = lambda _commit: None,
        published: Callable[[Commit, float], None] = lambda _commit, _seconds: None,
        report: Report | None = None,
    ) -> None:
        super().__init__(report=report)
        self._ledger = ledger
        self._sinks = sinks
        self._positions = positions
        self._project = project
        self._told = told
        self._published = published
        self._broken: set[int] = set()

    async def receive(self, message: Any) -> None:
        match message:
            case Begin():
                for stream, last in (await patiently("broadcaster", self._ledger.positions)).items():
                    await self._fill(stream, last)
            case Committed(commit):
                await self._fill(commit.stream, commit.first_seq - 1)
                self._tell(commit)
            case Resumed(stream, seq):
                await self._fill(stream, seq)

    async def _fill(self, stream: str, last: int) -> None:
        while (told := self._positions.told().get(stream, 0)) < last:
            page = await read_on(self._ledger, "broadcaster", stream, told, last, PAGE)
            if not page:
                return
            for commit in page:
                self._tell(commit)

    def _tell(self, commit: Commit) -> None:
        if commit.last_seq <= self._positions.told().get(commit.stream, 0):
            return
        started = time.perf_counter()
        for index, sink in enumerate(self._sinks):
            self._deliver(index, sink, commit)
        self._published(commit, time.perf_counter() - started)
        self._positions.tell(commit.stream, commit.last_seq)
        self._told(commit)
        self._project(commit)

    def _deliver(self, index: int, sink: Sink, commit: Commit) -> None:
        """One sink's trouble is not the others': told in the log once, and once when it is over."""
        try:
            sink.deliver(commit)
        except Exception:
            if index not in self._broken:
                self._broken.add(index)
                log.exception("sink_failed", sink=type(sink).__name__, stream=commit.stream)
        else:
            if index in self._broken:
                self._broken.discard(index)
                log.info("sink_recovered", sink=type(sink).__name__)
