"""Forgets what is older than history has to be; started only where history has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from actors.base import AsyncActor, Report
from indexer.errors import StoreUnavailable

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 3600.0
KEPT_EVENTS = 100_000
"""Per stream, however old: clients resume from them, and a restart finds its reorg window in them."""


class Log(Protocol):
    """The commits; the newest `keep` numbers of a stream stay."""

    async def forget(self, before: datetime, keep: int) -> int: ...


class Books(Protocol):
    """The records; the newest that is old enough stays, because it still holds then."""

    async def forget(self, before: datetime) -> int: ...


@dataclass(frozen=True, slots=True)
class Sweep:
    """Forget what is due, then rest for an hour."""


class Janitor(AsyncActor):
    """One for all streams; a sweep that fails is made up for by the next."""

    def __init__(
        self,
        *,
        days: int,
        ledger: Log,
        books: Books,
        report: Report | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(report=report)
        self._days = days
        self._ledger = ledger
        self._books = books
        self._now = now

    async def receive(self, message: Any) -> None:
        if not isinstance(message, Sweep):
            return
        before = self._now() - timedelta(days=self._days)
        try:
            records = await self._books.forget(before)
            commits = await self._ledger.forget(before, KEPT_EVENTS)
        except StoreUnavailable as error:
            log.warning("sweep_postponed", error=repr(error))
        else:
            if records or commits:
                log.info("history_forgotten", before=before.isoformat(), records=records, commits=commits)
        asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._post)

    def _post(self) -> None:
        if self.actor_ref.is_alive():
            self.actor_ref.tell(Sweep())
