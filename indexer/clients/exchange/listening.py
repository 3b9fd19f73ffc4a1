"""One connection to a venue's stream: open, alive, or over with a reason; ccxt's silence is not taken for health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from indexer.clients.exchange.dialects.dialect import Dialect
from indexer.clients.exchange.dialects.told import Exchange, Told
from indexer.clients.exchange.failures import translating
from indexer.clients.exchange.numbering import Numbering
from indexer.clients.exchange.pinging import BEATS
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.order import LATE_SECONDS
from indexer.domain.beat import beat_from
from indexer.errors import IndexerError, VenueUnreachable

OPEN_SECONDS: Final = 15.0
"""To connect, log in and subscribe."""

SILENT_PINGS: Final = 2.5
"""Two pings without an answer, and half a one of grace."""

ANSWER_SECONDS: Final = 2.5
"""For whoever is there to say so when we knock."""

LOOK_SECONDS: Final = 0.5
"""While it opens; afterwards when something is due."""

ALIVE_PINGS: Final = 2
"""So often it is told that somebody is there: half as often as somebody says so."""


class Ear:
    """Subscribes, taps every frame, and ends with an error when it cannot go on."""

    def __init__(
        self,
        dialect: Dialect,
        wallet: Wallet,
        exchange: Exchange,
        opened: Callable[[], None],
        heard: Callable[[Told], None],
        alive: Callable[[], None],
        *,
        ping_seconds: float,
        knock_seconds: Callable[[], float],
        positions: bool = False,
    ) -> None:
        self._dialect = dialect
        self._wallet = wallet
        self._exchange = exchange
        self._opened = opened
        self._heard = heard
        self._alive = alive
        self._ping_seconds = ping_seconds
        self._positions = positions
        self._knock_seconds = knock_seconds
        self._silent_seconds = ping_seconds * SILENT_PINGS
        self._clock = asyncio.get_running_loop().time
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_open = False
        self._numbering = Numbering()
        self._sending: set[asyncio.Task[None]] = set()
        self._life = self._told_life = self._clock()
        """When there was a sign of life, which the answer to a ping is as well."""
        self._heard_at = self._life
        """When a frame came last: unlike the answer to a ping, whoever tells balances must have said it."""
        self._knocked_at: float | None = None
        self._began = self._heard_at
        self._unbegun: tuple[float, ...] = ()
        """When each subscription was asked for of which the first frame has not come; after so long it is lost."""
        self._renewal: asyncio.TimerHandle | None = None
        self._over.add_done_callback(lambda over: over.cancelled() or over.exception())  # it may end twice
        exchange.tap = self._tap
        exchange.failed = self._fail
        exchange.noticed = self._notice

    def give_up(self, reason: str) -> None:
        """End this connection; the next one begins with reading everything."""
        self._fail(VenueUnreachable(reason))

    def tell_again(self) -> None:
        """Have the venue say on this connection what there is, where it does so: a read may have to wait."""
        if self._dialect.tells_again and self._is_open and not self._over.done():
            self._numbering = self._numbering.torn()
            self._renew(self._clock())

    async def listen(self) -> None:
        """Until something is wrong; then raise it as one of our errors."""
        watching = asyncio.create_task(self._watch(), name=f"watch {self._wallet}")
        looking = asyncio.create_task(self._look(), name=f"look {self._wallet}")
        try:
            with translating(self._exchange):
                await asyncio.wait((watching, looking, self._over), return_when=asyncio.FIRST_COMPLETED)
                for part in (self._over, watching, looking):
                    if part.done():
                        part.result()
        finally:
            self._over.cancel()  # whoever asks it something now must not open it again
            if self._renewal is not None:
                self._renewal.cancel()
            ours = (watching, looking, *self._sending)
            for task in ours:
                task.cancel()
            await asyncio.gather(*ours, return_exceptions=True)
        raise VenueUnreachable("the stream ended")

    async def _watch(self) -> None:
        """Ccxt returns for what the tap leaves it; frames that tell balances do not come so far."""
        while True:
            await self._dialect.subscribe(self._exchange, self._wallet)

    async def _look(self) -> None:
        """Open in time, and alive as long as pings are answered or frames come."""
        while True:
            now = self._clock()
            if not self._is_open and self._dialect.wallets[self._wallet].opens_on_connect and self._is_connected():
                self._open()
            if self._is_open:
                self._look_alive(now)
                self._knock(now)
            elif now - self._began > OPEN_SECONDS:
                raise VenueUnreachable("the stream did not open in time")
            await asyncio.sleep(self._rest(now))

    def _look_alive(self, now: float) -> None:
        if now - self._life >= self._silent_seconds:
            raise VenueUnreachable("the stream answers no ping")
        if self._life > self._told_life:
            self._told_life = self._life
            self._alive()

    def _rest(self, now: float) -> float:
        """Until something is due, at a moment when others look as well."""
        if not self._is_open:
            return LOOK_SECONDS
        due = min(self._life + self._silent_seconds, now + ALIVE_PINGS * self._ping_seconds)
        if pause := self._knock_seconds():
            due = min(due, self._heard_at + pause if self._knocked_at is None else self._knocked_at + ANSWER_SECONDS)
        return beat_from(due, self._ping_seconds / BEATS) - now

    def _knock(self, now: float) -> None:
        """Pings pass while nobody is behind them any more; a question is answered by who tells balances."""
        pause = self._knock_seconds()
        if not pause:
            return
        if self._knocked_at is not None and self._heard_at >= self._knocked_at:
            self._knocked_at = None
        if self._knocked_at is not None and now - self._knocked_at >= ANSWER_SECONDS:
            raise VenueUnreachable("the stream answers pings and no question")
        if self._knocked_at is None and now - self._heard_at >= pause:
            self._knocked_at = now
            self._ask(self._dialect.knock(self._wallet))

    def _renew(self, now: float) -> None:
        """What a lost frame said is what the next subscription begins with."""
        if self._numbering.must_renew(now):
            self._numbering = self._numbering.renewing(now)
            self._unbegun = (*self._due(now), now)
            self._send(self._dialect.renew(self._exchange, self._wallet))
        if self._numbering.is_torn and self._renewal is None:  # that one may be lost as well
            self._renewal = asyncio.get_running_loop().call_at(self._numbering.next_renewal, self._renew_now)

    def _renew_now(self) -> None:
        self._renewal = None
        if not self._over.done():
            self._renew(self._clock())

    def _ask(self, question: Mapping[str, Any]) -> None:
        for client in self._exchange.clients.values():
            if client.isConnected and not client.closed():
                self._send(client.send(question))

    def _send(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside the frames; what cannot be sent is the end of the connection."""

        async def send() -> None:
            try:
                with translating():
                    await work
            except IndexerError as error:
                self._fail(error)

        task = asyncio.create_task(send(), name=f"send {self._wallet}")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _due(self, now: float) -> tuple[float, ...]:
        return tuple(asked for asked in self._unbegun if now - asked < LATE_SECONDS)

    def _begin_one(self) -> float | None:
        """A subscription begins: of those that were asked for it may be any, so it may be as old as the oldest."""
        due = self._due(self._heard_at) or self._unbegun[-1:]
        self._unbegun = due[1:]
        return due[0] if due else None

    def _connected_at(self) -> float | None:
        """Nothing is subscribed on a connection before there is one; ccxt notes when, by the calendar."""
        opened = [at for client in self._exchange.clients.values() if (at := client.connectionEstablished) is not None]
        if not opened:
            return None
        age = float(self._exchange.milliseconds() - min(opened)) / 1_000
        return max(self._began, self._clock() - max(0.0, age))

    def _is_connected(self) -> bool:
        return any(client.isConnected and not client.closed() for client in self._exchange.clients.values())

    def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            self._life = self._clock()
            connected = self._connected_at()
            self._unbegun = () if connected is None else (connected,)
            self._opened()
            if self._positions and (question := self._dialect.ask_for_positions()) is not None:
                self._ask(question)
            if self._dialect.asks_for_orders:
                self._send(self._dialect.ask_for_orders(self._exchange))

    def _notice(self) -> None:
        self._life = self._clock()

    def _tap(self, message: Any) -> bool:
        """Whether it was for us alone.

        ccxt breaks on answers to what it did not ask, and what told us something it would parse once more, for a loop
        that waits for nothing else.
        """
        self._heard_at = self._clock()
        if self._dialect.is_answer(message):
            return True
        is_told = not self._over.done() and self._hear(message)
        return is_told or self._dialect.is_ours(message)

    def _hear(self, message: Any) -> bool:
        if self._dialect.is_acknowledged(message):
            self._numbering = self._numbering.begun()
            self._open()
        told = self._dialect.told(self._exchange, self._wallet, message)
        if told is None:
            return False
        self._open()
        if told.is_first:
            told = told._replace(asked=self._begin_one())
        # While a subscription is to begin, it may be that one which counts; what has a time is judged by it.
        is_counted = not self._due(self._heard_at) or told.venue_time is None
        is_old = is_counted and self._numbering.is_old(told)
        self._numbering = self._numbering.heard(told)
        if not is_old:
            self._heard(told)
        self._renew(self._heard_at)
        return True

    def _fail(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)
