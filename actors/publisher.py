"""Publishes every committed event on NATS, in the order of its stream, however long NATS was away."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import structlog

from actors.backlog import Backlog
from actors.base import AsyncActor, Report
from actors.messages import Begin, Committed
from actors.patience import patiently
from actors.positions import Positions
from actors.reading_on import read_on
from indexer.domain.health.status import BusState, BusStatus
from indexer.domain.telling.commits import Commit, Event
from indexer.domain.telling.events import event_json
from indexer.domain.telling.subjects import Names, Notice, notice_of
from indexer.errors import BusRefuses, BusUnreachable, EventTooLarge, EventUnwritable, StoreUnavailable
from indexer.metrics import BusMetrics

log = structlog.get_logger(__name__)

AT_ONCE = 128
"""Events in flight. On loopback 64 are as fast; more would pay on a long line, and stall the loop for longer."""

PAGE = 16
"""Commits read from the log at a time: a commit of history is large."""

SAVE_SECONDS = 1.0
"""How often the position is stored; what is sent again after a crash is dropped over there by its id."""

FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 5.0
LONGEST_REFUSED_SECONDS = 15.0
"""Somebody has to mend something first."""


FAREWELL_SECONDS = 0.5


class Log(Protocol):
    """Where everything that was told can be read again."""

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]: ...


class Cursors(Protocol):
    """Where the positions survive a restart; nothing before the first `begin`."""

    async def load(self) -> Mapping[str, int] | None: ...

    async def begin(self, positions: Mapping[str, int]) -> None: ...

    async def save(self, stream: str, seq: int) -> None: ...


class Bus(Protocol):
    """One connection at a time; raises `BusUnreachable` and `BusRefuses`."""

    async def open(self, lost: Callable[[], None]) -> None:
        """Connect anew, and see that there is a place for every event; `lost` is called when the connection ends."""
        ...

    def check(self) -> None:
        """Raises what ended the connection."""
        ...

    async def publish(self, notices: Sequence[Notice]) -> int:
        """How many of them, from the first on, are stored now: at least one.

        `EventTooLarge` and `EventUnwritable` are about the first.
        """
        ...

    async def close(self) -> None: ...


class Publisher(AsyncActor):
    """Follows what was told with a durable position of its own per stream; nobody ever waits for it."""

    def __init__(
        self,
        *,
        ledger: Log,
        cursors: Cursors,
        positions: Positions,
        bus: Bus,
        epoch: str,
        names: Callable[[], Names],
        skip_old: bool,
        status: BusStatus,
        show: Callable[[BusStatus], None],
        metrics: BusMetrics,
        report: Report | None = None,
    ) -> None:
        super().__init__(report=report)
        self._ledger = ledger
        self._cursors = cursors
        self._positions = positions
        self._bus = bus
        self._epoch = epoch
        self._names = names
        self._skip_old = skip_old
        self._status = status
        self._show = show
        self._metrics = metrics
        self._backlog = Backlog({})
        self._saved: dict[str, int] = {}
        self._saved_at = time.monotonic()
        self._stirred = asyncio.Event()
        self._failures = 0

    async def receive(self, message: Any) -> None:
        match message:
            case Begin():
                self._backlog = Backlog(await self._beginning())
                self._saved = dict(self._backlog.done)
                self.spawn(self._run(), "nats")
            case Committed(commit):
                self._backlog.add(commit)
                self._stirred.set()

    async def closing(self) -> None:
        """What was told until now goes out, where that is a matter of a moment."""
        if self._status.state in ("live", "catching_up"):
            with suppress(BusUnreachable, BusRefuses, TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    while batch := await self._next_batch():
                        await self._send(batch)
        await self._save()
        await self._bus.close()

    async def _beginning(self) -> Mapping[str, int]:
        """Where each stream goes on: where it stopped, or (the first time) where the file says."""
        told = dict(self._positions.told())
        known = await patiently("nats", self._cursors.load)
        if known is None:
            known = told if self._skip_old else {}
            await patiently("nats", partial(self._cursors.begin, known))
        return {stream: min(seq, told.get(stream, 0)) for stream, seq in known.items()}

    # --- the connection, again and again -----------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._bus.open(self._stirred.set)
                await self._publish()
            except BusUnreachable as error:
                await self._rest(error, LONGEST_RETRY_SECONDS)
            except BusRefuses as error:
                await self._rest(error, LONGEST_REFUSED_SECONDS)
            except Exception as error:  # the boundary: what a server and its library come up with ends no indexer
                reason = f"a mistake of ours: {error!r}"
                if self._status.last_error != reason:  # a refusal before must not hide it
                    log.exception("nats_crashed")
                await self._rest(BusRefuses(reason), LONGEST_REFUSED_SECONDS)

    async def _publish(self) -> None:
        """Until the connection is lost."""
        while True:
            self._bus.check()
            self._stirred.clear()
            batch = await self._next_batch()
            if batch:
                await self._send(batch)
            else:
                self._went_well()
                await self._wait()
            if time.monotonic() - self._saved_at >= SAVE_SECONDS:
                await self._save()

    async def _send(self, batch: Sequence[Notice]) -> None:
        started = time.monotonic()
        try:
            stored = batch[: await self._bus.publish(batch)]
        except EventTooLarge as error:
            log.error("nats_event_too_large", event_id=batch[0].id, subject=batch[0].subject, error=str(error))  # noqa: TRY400 - its traceback says no more
            self._leave_out(batch[0].stream, batch[0].seq, 1)
            return
        except EventUnwritable as error:
            log.error("nats_event_unwritable", event_id=batch[0].id, error=str(error))  # noqa: TRY400 - as above
            self._leave_out(batch[0].stream, batch[0].seq, 1)
            return
        for notice in stored:
            self._backlog.sent(notice.stream, notice.seq)
        self._metrics.published(len(stored), time.monotonic() - started)
        self._went_well(len(stored))

    async def _wait(self) -> None:
        """Until there is something to do: to send, to save, or to connect again."""
        try:
            async with asyncio.timeout(SAVE_SECONDS if self._backlog.done != self._saved else None):
                await self._stirred.wait()
        except TimeoutError:
            await self._save()

    async def _rest(self, error: BusUnreachable | BusRefuses, longest: float) -> None:
        state: BusState = "lost" if isinstance(error, BusUnreachable) else "refused"
        if state != self._status.state:
            server, reason = self._status.server, str(error)
            if state == "lost":
                log.warning("nats_lost", server=server, reason=reason)
            else:
                log.error("nats_refused", server=server, reason=reason)
        self._metrics.failed(state)
        self._tell(replace(self._status, state=state, last_error=str(error)))
        await self._bus.close()
        await self._save()
        pause = min(longest, FIRST_RETRY_SECONDS * 2.0 ** min(self._failures, 32))
        self._failures += 1
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads what reconnects, hides nothing

    def _went_well(self, stored: int = 0) -> None:
        """Told once it is proven: a server that lets us in may still store nothing."""
        before, self._failures = self._status, 0
        if before.state == "connecting":
            log.info("nats_open", server=before.server, stream=before.stream)
        elif before.state in ("lost", "refused"):
            log.info("nats_back", server=before.server, behind_events=before.lag(self._positions.told()))
            self._metrics.reconnected()
            before = replace(before, reconnects=before.reconnects + 1)
        now = replace(before, published=before.published + stored, last_error=None, done=dict(self._backlog.done))
        is_behind = now.lag(self._positions.told()) > AT_ONCE
        self._tell(replace(now, state="catching_up" if is_behind else "live"))

    def _tell(self, status: BusStatus) -> None:
        self._status = status
        self._show(status)

    # --- what is next ------------------------------------------------------------------------------------------------

    async def _next_batch(self) -> list[Notice]:
        """A share for every stream that is behind, so that one with much to say does not keep the others waiting."""
        told = dict(self._positions.told())
        behind = self._backlog.behind(told)
        share = max(1, AT_ONCE // max(1, len(behind)))
        names = self._names() if behind else Names()
        batch: list[Notice] = []
        for stream in behind:
            if self._backlog.lacks(stream) and not self._backlog.is_full:
                await self._read(stream, told[stream])
            events = self._backlog.take(stream, min(share, AT_ONCE - len(batch)), self._epoch)
            batch += self._written(events, names)
            if len(batch) == AT_ONCE:
                break
            await asyncio.sleep(0)
        return batch

    def _written(self, events: Sequence[Event], names: Names) -> list[Notice]:
        """Up to the first of which no JSON can be made: its turn comes, and then it is named and left out."""
        notices: list[Notice] = []
        for event in events:
            try:
                notices.append(notice_of(event_json(event), names))
            except Exception:  # the boundary of one event: the others of all streams go on
                if notices:
                    break
                log.exception("nats_event_unwritable", event_id=event.id)
                self._leave_out(event.stream, event.seq, 1)
        return notices

    async def _read(self, stream: str, told: int) -> None:
        after = self._backlog.done.get(stream, 0)
        page = await read_on(self._ledger, "nats", stream, after, told, PAGE)
        gone = self._backlog.fill(stream, page, told)
        if gone:
            log.error("nats_events_forgotten", stream=stream, first_seq=after + 1, last_seq=after + gone)
            self._leave_out(stream, after + gone, gone)

    def _leave_out(self, stream: str, seq: int, count: int) -> None:
        self._backlog.sent(stream, seq)
        self._stirred.set()  # there may be nothing to send of this batch, and more behind it
        self._metrics.skipped(count)
        self._tell(replace(self._status, skipped=self._status.skipped + count))

    async def _save(self) -> None:
        """What cannot be stored now is stored later; until then more would be sent again after a crash."""
        self._saved_at = time.monotonic()
        for stream, seq in tuple(self._backlog.done.items()):
            if self._saved.get(stream) != seq:
                try:
                    await self._cursors.save(stream, seq)
                except StoreUnavailable:
                    return
                self._saved[stream] = seq
