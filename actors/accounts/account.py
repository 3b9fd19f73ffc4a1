"""One exchange account: hears its stream, reads its wallets, and tells what it believes of both."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import structlog

from actors.accounts.extras import Extras
from actors.accounts.freshness import Freshness
from actors.accounts.ledger import AccountLedger
from actors.accounts.listener import Listener
from actors.accounts.lookout import Lookout
from actors.accounts.messages import Arrived, FundingsRead, LookAround, PositionsRead, RefreshWallets, WalletRead
from actors.accounts.orders import Order
from actors.accounts.reading import Readings
from actors.accounts.telling import Teller
from actors.accounts.venue import Counts, Venue
from actors.base import AsyncActor, Report
from actors.messages import Begin, Resumed
from indexer.domain.accounts.alerts import AlertKey
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import (
    Arrival,
    Moved,
    PositionsSeen,
    Snapshot,
    StreamAlive,
    StreamLost,
    StreamOpened,
    Updated,
)
from indexer.domain.accounts.hearing import Hearing
from indexer.domain.accounts.judging import Rules
from indexer.domain.accounts.polling import CONFIRM_SECONDS, Rhythm
from indexer.domain.status import AccountStatus, StreamState, StreamStatus
from indexer.errors import BadCredentials, Fenced, Impossible, IndexerError, Permanent, Transient, WalletUnsupported

log = structlog.get_logger(__name__)

OPENING_SECONDS = 5.0
"""How long the first read waits for the stream: one that was asked before it opened would be needed twice."""

OPENED_SECONDS = 2.0
"""After the stream opened, positions are read: by then it tells them as well, where it does."""

HEARD_SECONDS = 10.0
"""After a frame told positions they are read as well: the next one may be lost."""

MOST_QUEUED = 10_000
"""Frames beyond that many waiting messages are dropped; the stream is begun anew and every wallet is read."""


class AccountActor(AsyncActor):
    """The unit of order and of failure: one per account."""

    def __init__(
        self,
        *,
        venue: Venue,
        ledger: AccountLedger,
        rules: Rules,
        counts: Counts,
        resumed: Callable[[Resumed], None],
        show: Callable[[StreamStatus], None],
        rhythm: Rhythm | None = None,
        restarts: int = 0,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        report: Report | None = None,
    ) -> None:
        super().__init__(report=report)
        self._venue = venue
        self._ledger = ledger
        self._counts = counts
        self._resumed = resumed
        self._show = show
        self._restarts = restarts
        self._clock = asyncio.get_running_loop().time
        self._log = log.bind(exchange=ledger.account.exchange, account=ledger.account.name)
        self._teller = Teller(ledger, venue.wallets, rules, counts, now)
        self._readings = Readings(
            venue.wallets,
            start=self._start_reading,
            repeat=venue.tell_again,
            rhythm=rhythm or Rhythm(),
            jitter=jitter,
        )
        self._lookout = Lookout(lambda: self._post(LookAround()))
        self._hearing = Hearing()
        self._was_lost = False
        """Only then one answer is not enough when it opens: a start of 200 accounts asks no more than it has to."""
        self._orders: list[Order] = []
        self._listener = Listener(venue, self.spawn, self._post_arrival, ledger.stream)
        self._extras = Extras(venue, spawn=self.spawn, post=self._post, stream=ledger.stream, log=self._log)
        poll = (rhythm or Rhythm()).fast
        self._freshness = Freshness(venue.wallets, poll_seconds=poll, now=self._clock())
        self._is_stale = False
        self._stale_due = math.inf
        """When a wallet may be so old that it is told as an alert."""
        self._stopped: str | None = None
        self._error: str | None = None
        self._shown: StreamStatus | None = None

    # --- hearing -----------------------------------------------------------------------------------------------------

    async def receive(self, message: Any) -> None:
        if self._stopped is not None:
            if isinstance(message, RefreshWallets) and not message.done.done():
                message.done.set_exception(Impossible(f"{self._ledger.account} is not followed: {self._stopped}"))
            return
        try:
            await self._handle(message)
            # A burst becomes few commits: what is queued by now is merged first, up to a bound.
            if not self.queued or self._teller.is_full:
                await self._teller.flush()
                self._answer_orders()
        except Fenced as error:
            # Another process writes this stream: it goes on, we don't, and nobody restarts us.
            self._stopped = str(error)
            self._log.error("account_stepped_down", reason=str(error))
        now = self._clock()
        self._freshness.good(self._spoken_for(now), now)
        extras_due = self._extras.next_due if self._readings.breaker.state == "closed" else math.inf
        due = (self._readings.next_due(), self._hearing.next_doubt(), extras_due, self._stale_due)
        self._lookout.by(min(*due, self._freshness.next_stale(now)))
        if not self._is_as_before(message):
            self._show_status()

    async def _handle(self, message: Any) -> None:
        match message:
            case Begin():
                await self._begin()
            case Arrived(arrival):
                self._counts.arrived(type(arrival).__name__)
                self._hear(arrival)
            case WalletRead():
                self._take(message)
            case PositionsRead(outcome):
                self._extras.positions_read(None if outcome is None else self._teller.see_positions(outcome).ask)
            case FundingsRead(outcome):
                self._extras.fundings_read(message)
                self._teller.see_fundings(() if outcome is None else outcome.fundings)
            case RefreshWallets():
                self._take_order(message)
            case LookAround():
                self._look_around()

    async def _begin(self) -> None:
        await self._ledger.load()
        self._resumed(Resumed(self._ledger.stream, self._ledger.seq))
        self._teller.begin()
        if self._ledger.is_stale:  # until a first answer comes
            self._is_stale = True
            self._freshness.unknown()
        for wallet in self._venue.streamed:
            self._readings.later(wallet, OPENING_SECONDS)
        self._listener.begin()
        self._look_around()

    def _post_arrival(self, arrival: Arrival) -> None:
        if self.queued < MOST_QUEUED:
            self._post(Arrived(arrival))
        else:
            self._venue.reopen("more frames than can be handled")

    # --- the stream --------------------------------------------------------------------------------------------------

    def _hear(self, arrival: Arrival) -> None:
        if not self._listener.is_listening:
            return  # it was queued when we stopped
        now = self._clock()
        match arrival:
            case StreamOpened(wallets):
                self._open(wallets, now)
            case StreamLost(reason):
                self._lose_stream(reason)
            case StreamAlive():
                self._hearing = self._hearing.alive(now)
            case PositionsSeen():
                self._hearing = self._hearing.alive(now)
                merged = self._teller.see_positions(arrival)
                if merged.ask or merged.changed:
                    self._extras.positions_soon(CONFIRM_SECONDS if merged.ask else HEARD_SECONDS)
            case Moved(slot):
                self._hearing = self._hearing.told((slot,), now)
                self._merge(arrival, slot.wallet)
                self._readings.confirm(slot.wallet)
            case Snapshot(wallet=wallet) | Updated(wallet=wallet):
                self._hearing = self._hearing.told(arrival.slots, now)
                self._merge(arrival, wallet)
                self._readings.confirm(wallet)
        self._readings.begin_due()

    def _open(self, wallets: frozenset[Wallet], now: float) -> None:
        """What happened while nobody told is found by reading at once."""
        if not self._hearing.open:
            self._log.info("account_stream_open", endpoint=self._venue.endpoint)
        fresh = wallets - self._hearing.open
        self._hearing = self._hearing.opened(wallets, now)
        for wallet in fresh:
            self._readings.soon(wallet)
            if self._was_lost:
                self._readings.doubt_next(wallet)
        if fresh:
            self._extras.positions_soon(OPENED_SECONDS)

    def _lose_stream(self, reason: str) -> None:
        if self._hearing.open:
            self._log.warning("account_stream_lost", reason=reason)
        self._hearing, self._was_lost = self._hearing.lost(), True
        self._error = reason
        for wallet in self._venue.streamed:
            self._suspect(wallet)

    def _distrust(self, reason: str) -> None:
        self._venue.reopen(reason)
        self._lose_stream(reason)

    def _suspect(self, wallet: Wallet) -> None:
        self._readings.suspect(wallet)
        self._readings.soon(wallet)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _start_reading(self, wallet: Wallet) -> None:
        self.spawn(self._read(wallet, self._clock()), f"read {self._ledger.stream} {wallet}")

    async def _read(self, wallet: Wallet, asked: float) -> None:
        outcome: Snapshot | IndexerError
        try:
            outcome = await self._venue.read(wallet)
        except (Transient, Permanent) as error:
            outcome = error
        self._post(WalletRead(wallet, asked, outcome))

    def _take(self, read: WalletRead) -> None:
        outcome, is_unsure = read.outcome, False
        if isinstance(outcome, Snapshot):
            self._counts.read("ok")
            self._believe(read.wallet, outcome)
            is_unsure = self._teller.is_unsure
        else:
            self._counts.read(type(outcome).__name__)
            self._fail(read.wallet, outcome)
        for order in self._orders:
            if order.concerns(read):
                order.settle(read, is_unsure=is_unsure)
            elif read.wallet in order.wallets:
                self._readings.soon(read.wallet)

    def _believe(self, wallet: Wallet, snapshot: Snapshot) -> None:
        now = self._clock()
        talks = self._hearing.talks(now, wallet)
        self._freshness.good((wallet,), now)
        self._listener.begin()
        self._readings.answered(wallet, stream_talks=talks)
        self._teller.over(AlertKey("authentication"), AlertKey("breaker_open"))
        self._teller.over(AlertKey("permissions", wallet), AlertKey("breaker_open", wallet))
        self._merge(snapshot, wallet)
        if talks and self._teller.drifted:
            self._hearing = self._hearing.found(self._teller.drifted, now)
            self._readings.soon(wallet, CONFIRM_SECONDS)  # that answer may be older than what was lost last
        if not self._readings.is_in_doubt(wallet):
            self._error = None
        self._tell_stale(now)

    def _fail(self, wallet: Wallet, error: IndexerError) -> None:
        refused = isinstance(error, BadCredentials) and self._readings.is_refused_alone(wallet)
        if refused or isinstance(error, WalletUnsupported):
            self._readings.cannot(wallet, str(error))
            self._teller.alert(AlertKey("permissions", wallet), "warning", str(error))
            return
        self._error = str(error)
        self._readings.failed(wallet, error)
        breaker = self._readings.breaker
        if breaker.state == "suspended":
            self._listener.end()
            self._lose_stream(str(error))
            self._teller.alert(AlertKey("authentication"), "error", str(error))
        elif breaker.pauses:
            self._teller.alert(AlertKey("breaker_open"), "warning", str(error))
        elif self._readings.is_paused(wallet):
            self._teller.alert(AlertKey("breaker_open", wallet), "warning", str(error))

    def _merge(self, arrival: Snapshot | Updated | Moved, wallet: Wallet) -> None:
        """Whatever contradicts something, or says only half of it, is a reason to ask."""
        is_refresh = any(wallet in order.wallets for order in self._orders)
        ask = self._teller.merge(arrival, wallet, "refresh" if is_refresh else None)
        if isinstance(arrival, Snapshot) and arrival.source == "rest":
            self._readings.settled(wallet, in_doubt=ask is not None)
        elif self._teller.is_unsure:
            self._readings.decide(wallet)
            self._venue.tell_again(wallet)
        elif ask is not None:
            self._readings.at_once(wallet)

    # --- orders ------------------------------------------------------------------------------------------------------

    def _take_order(self, order: RefreshWallets) -> None:
        wallets = set(order.wallets or self._venue.wallets)
        self._orders.append(Order(wallets, self._clock(), order.done))
        self._readings.resume()
        self._extras.soon()
        for wallet in wallets:
            self._readings.soon(wallet)
        self._readings.begin_due()

    def _answer_orders(self) -> None:
        """Once what they asked for is committed."""
        for order in self._orders:
            order.answer()
        self._orders = [order for order in self._orders if not order.done.done()]

    # --- time --------------------------------------------------------------------------------------------------------

    def _look_around(self) -> None:
        now = self._clock()
        if self._hearing.is_dead(now):
            self._distrust("the stream gives no sign of life")
        forgotten = self._hearing.forgotten(now)
        if forgotten:
            self._counts.drifted(len(forgotten))
            for slot in forgotten:
                self._teller.not_told(slot)
            self._distrust(f"the stream did not tell that {forgotten[0].asset} changed")
        self._readings.begin_due()
        if self._readings.breaker.state == "closed":
            self._extras.ask_due(self._ledger.funded.until)
        self._stale_due = now + self._teller.look_for_stale()
        self._tell_stale(now)

    def _tell_stale(self, now: float) -> None:
        wallets = self._venue.wallets
        silent = not self._hearing.talks(now) and len(self._freshness.stale(now, ())) == len(wallets)
        is_stale = silent or self._readings.breaker.state == "suspended"
        if is_stale == self._is_stale:
            return
        self._is_stale = is_stale
        if is_stale:
            self._log.warning("account_stale", reason=self._error)
            self._teller.stale(self._error or "the venue does not answer")
        else:
            self._log.info("account_live")
            self._teller.live("the venue answers again")

    def _post(self, message: object) -> None:
        if self.actor_ref.is_alive():
            self.actor_ref.tell(message)

    def _spoken_for(self, now: float) -> Iterator[Wallet]:
        return (wallet for wallet in self._venue.streamed if self._hearing.talks(now, wallet))

    # --- showing -----------------------------------------------------------------------------------------------------

    def _state(self) -> StreamState:
        if self._stopped is not None:
            return "stopped"
        if self._readings.breaker.state == "suspended":
            return "suspended"
        if self._is_stale:
            return "stale"
        if not self._teller.is_complete(self._readings.unsupported):
            return "starting" if self._ledger.seq == 0 else "catching_up"
        return "live"

    def _is_as_before(self, message: object) -> bool:
        """A sign of life from a stream that talks changes nothing, and comes every three seconds from each."""
        is_alive = isinstance(message, Arrived) and isinstance(message.arrival, StreamAlive)
        return is_alive and self._shown is not None and self._shown.heads == "ws" and not self.queued

    def _show_status(self) -> None:
        state, talks = self._state(), self._hearing.talks(self._clock())
        status = StreamStatus(
            stream=self._ledger.stream,
            name=str(self._ledger.account),
            state=state,
            ready=state == "live",
            endpoint=self._venue.endpoint,
            heads="ws" if talks else "poll",
            seq=self._ledger.seq,
            restarts=self._restarts,
            last_error=self._stopped or self._error,
            queue_depth=self.queued,
            account=AccountStatus(
                breaker=self._readings.breaker,
                streamed=tuple(sorted(self._hearing.open)) if talks else (),
                unsupported=self._readings.unsupported,
                stale=self._freshness.stale(self._clock(), self._readings.unsupported),
                answered=self._readings.answers,
                failed=self._readings.failures,
            ),
        )
        if status != self._shown:
            self._shown = status
            self._show(status)
