"""Every committed event to every subscriber: encoded once, written at once to all who read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

import structlog
from aiohttp import web

from indexer.api.hub.account_rows import AccountRows
from indexer.api.hub.connection import Connection
from indexer.api.hub.filters import Interests
from indexer.api.hub.frames import Told, told
from indexer.api.hub.handshake import switch
from indexer.api.hub.heartbeat import Heart
from indexer.api.hub.leaving import Leaving
from indexer.api.hub.limits import Limits
from indexer.api.hub.outbox import Outbox
from indexer.api.hub.positions import Positions
from indexer.api.hub.requests import Known
from indexer.api.hub.snapshots import Snapshots
from indexer.api.hub.sources import CurrentAmounts, CurrentBalances, Followed, Log, Projected, Streams, Watched
from indexer.api.hub.subscription import Feed
from indexer.api.hub.ticking import Ticker
from indexer.api.problems import BadRequest
from indexer.domain.telling.commits import Commit
from indexer.errors import EventUnwritable

log = structlog.get_logger(__name__)

MANY_EVENTS: Final = 600
"""A commit with more goes through the queues: encoded and written in turns, not all at once.

At once, 500 events are encoded in 2.5 ms and are at the client 42 ms after their head; in turns, behind the projector's
threads, after 65 ms (p50 of 32 blocks each, in turns, 2 busy cores).
"""

FLUSH_SECONDS: Final = 1.0


class Hub:
    """The sink that the broadcaster tells, and the handler of `/ws`."""

    def __init__(
        self,
        *,
        log: Log,
        balances: CurrentBalances,
        amounts: CurrentAmounts,
        accounts: Followed,
        freshness: Projected,
        watching: Watched,
        status: Streams,
        epoch: str,
        limits: Limits | None = None,
        room: Callable[[], int] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        on_conflation: Callable[[int], None] = lambda _dropped: None,
        on_dropped: Callable[[str], None] = lambda _reason: None,
        give_up: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._log = log
        self._watching = watching
        self._accounts = accounts
        self._epoch = epoch
        self._limits = limits or Limits()
        self._room = room or (lambda: self._limits.connections)
        self._monotonic = monotonic
        self._on_conflation = on_conflation
        self._on_dropped = on_dropped
        self._positions = Positions()
        self._ready: dict[str, tuple[Commit, list[Told]]] = {}
        """By stream the one commit that is just being written."""
        self._interests: Interests[Outbox] = Interests()
        self._feed = Feed(
            epoch=epoch,
            log=log,
            snapshots=Snapshots(
                log=log,
                balances=balances,
                amounts=AccountRows(log=log, amounts=amounts, accounts=accounts),
                freshness=freshness,
                watching=watching,
                status=status,
                positions=self._positions,
            ),
            positions=self._positions,
            interests=self._interests,
            reads=asyncio.Semaphore(self._limits.reads_at_once),
        )
        self._connections: dict[Connection, asyncio.Transport] = {}
        self._requests: dict[Connection, web.Request] = {}
        self._subscribed: dict[Connection, None] = {}
        """Oldest first: a set has no order that a test could repeat."""
        bounds = self._limits
        pauses = (bounds.heartbeat_seconds / 2, bounds.stall_seconds / 4, bounds.silence_seconds / 6)
        self._ticker = Ticker(self.tick, min(1.0, *pauses), give_up=give_up)
        self._leaving = Leaving()
        self._heart = Heart(
            status=status,
            positions=self._positions,
            clock=clock,
            seconds=bounds.heartbeat_seconds,
            first=monotonic() + bounds.heartbeat_seconds,
        )
        self._is_closing = False

    @property
    def subscribers(self) -> int:
        """Clients with at least one subscription."""
        return len(self._subscribed)

    @property
    def connections(self) -> int:
        return len(self._connections)

    def positions(self) -> Mapping[str, int]:
        """Per stream the last number that was delivered."""
        return self._positions.now()

    async def start(self) -> None:
        self._positions.begin(await self._log.positions())
        self._ticker.start()

    async def close(self) -> None:
        """Say goodbye to everybody, with a bound."""
        self._is_closing = True
        await self._ticker.stop()
        for connection in tuple(self._connections):
            self._dismiss(connection, 1001, "the service stops")
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.shutdown_seconds):
                # A transport does not tell when it is empty.
                while self._connections or self._leaving.has_unsent:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        for transport in tuple(self._connections.values()):
            transport.abort()
        self._leaving.cut_all()

    def prepare(self, commit: Commit, said: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Called while it is being written: so long there is time to encode what is told once it is there.

        `said` is what its facts are told as, where that was made already.
        """
        if not self._interests or commit.size > MANY_EVENTS:
            return
        events = told(commit, self._epoch, said)
        with suppress(EventUnwritable):  # the plan: `deliver` finds it out again, and says so
            for event in events if self._interests.everything else chain(*self._interests.matched(events).values()):
                event.frame()
        self._ready[commit.stream] = commit, events

    def deliver(self, commit: Commit) -> None:
        """Called for every commit, in order per stream; neither waits nor raises."""
        if commit.last_seq <= self._positions[commit.stream]:
            return  # told again after a restart of who tells
        self._positions.move(commit.stream, commit.last_seq)
        ready = self._ready.pop(commit.stream, None)
        if not self._interests:
            return
        try:
            events = ready[1] if ready is not None and ready[0] is commit else told(commit, self._epoch)
            if len(events) > MANY_EVENTS:
                self._queue(events)
            else:
                self._tell(events)
        except Exception:  # the boundary of one commit: whoever wants it reads it from the log, and is told of a gap
            log.exception("commit_not_told", stream=commit.stream, first_seq=commit.first_seq)
            for connection in tuple(self._subscribed):
                connection.fall_back(commit.stream, commit.first_seq - 1)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """`GET /ws`."""
        limits = self._limits
        if self._is_closing or len(self._connections) >= self._room():
            raise BadRequest(503, "No more clients are taken just now.", headers={"Retry-After": "5"})
        # Compression would cost every subscriber its own encoding; pings are answered in order with all else.
        ws = web.WebSocketResponse(
            compress=False,
            autoping=False,
            autoclose=False,
            max_msg_size=limits.refused_frame_bytes + 1,  # from that on aiohttp closes
            timeout=FLUSH_SECONDS,
        )
        writer = await switch(ws, request)
        transport = request.transport
        if transport is None:
            return ws
        connection = self._connect(ws, transport, writer.drain)
        self._requests[connection] = request
        try:
            await connection.listen()
        finally:
            was_dismissed = connection.outbox.closed
            connection.end()
            del self._connections[connection], self._requests[connection]
            self._leaving.cut(transport, after=FLUSH_SECONDS)
        if was_dismissed:
            transport.close()  # both have said goodbye; a second time would be against the protocol
        else:
            await ws.close(drain=False)
        return ws

    def dismiss(self, *, unless: Callable[[web.Request], bool]) -> None:
        """Say goodbye to those who may listen no longer."""
        for connection, request in self._requests.items():
            if not connection.outbox.closed and not unless(request):
                self._dismiss(connection, 1008, "the API key is not known any more")

    def tick(self) -> None:
        """Dismiss who does not read, and tell the others that we live."""
        now = self._monotonic()
        for connection, transport in tuple(self._connections.items()):
            if connection.outbox.closed:
                continue
            try:
                self._look_at(connection, now)
            except Exception as error:
                # The boundary of one client: it is cut, and the others are looked at.
                log.exception("subscriber_failed", error=type(error).__name__)
                transport.abort()
        self._heart.beat(now, self._subscribed)

    def _look_at(self, connection: Connection, now: float) -> None:
        limits = self._limits
        connection.outbox.check()
        if connection.outbox.stalled_seconds(now) >= limits.stall_seconds:
            self._dismiss(connection, 1013, f"nothing was read for {limits.stall_seconds:g} s")
        elif connection.is_gone(now):
            self._dismiss(connection, 1013, f"nothing was heard for {limits.silence_seconds:g} s")

    def _connect(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport, drain: Callable[[], Awaitable[None]]
    ) -> Connection:
        outbox = Outbox(
            transport,
            drain,
            high_water=transport.get_write_buffer_limits()[1],
            limit=self._limits.waiting_events,
            on_conflation=self._on_conflation,
            on_overflow=lambda: self._overflowed(connection),
            on_unwritable=lambda event: connection.fall_back(event.stream, event.seq - 1),
        )
        connection = Connection(
            ws,
            outbox,
            feed=self._feed,
            known=self._known,
            limits=self._limits,
            monotonic=self._monotonic,
            on_change=self._count,
            on_dismissed=self._let_go,
        )
        self._connections[connection] = transport
        return connection

    def _overflowed(self, connection: Connection) -> None:
        if not connection.outbox.closed:
            most = self._limits.waiting_events
            self._dismiss(connection, 1013, f"more than {most} funding payments were waiting; take them with after")

    def _let_go(self, connection: Connection) -> None:
        self._leaving.cut(self._connections[connection], after=self._limits.goodbye_seconds)

    def _known(self) -> Known:
        return Known(self._watching.chains(), [account.key for account in self._accounts.all()])

    def _tell(self, events: list[Told]) -> None:
        everything = self._interests.everything
        if everything:
            payload = b"".join([event.frame() for event in events])
            for outbox in everything:
                outbox.tell(payload, events)
        # Subscribers with equal filters get equal bytes; joined once.
        joined: dict[tuple[int, ...], bytes] = {}
        for outbox, wanted in self._interests.matched(events).items():
            key = tuple(event.seq for event in wanted)
            payload = joined.get(key) or joined.setdefault(key, b"".join([event.frame() for event in wanted]))
            outbox.tell(payload, wanted)

    def _queue(self, events: list[Told]) -> None:
        for outbox in self._interests.everything:
            outbox.queue(events)
        for outbox, wanted in self._interests.matched(events).items():
            outbox.queue(wanted)

    def _count(self, connection: Connection) -> None:
        if connection.is_subscribed:
            self._subscribed[connection] = None
        else:
            self._subscribed.pop(connection, None)

    def _dismiss(self, connection: Connection, code: int, reason: str) -> None:
        if code == 1013:
            log.info("subscriber_dismissed", reason=reason)
            self._on_dropped("slow")
        connection.dismiss(code, reason)
