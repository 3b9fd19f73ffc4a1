"""One exchange account: hears its stream, reads its wallets, and tells what it believes of both."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from actors.accounts.extras import Extras
from actors.accounts.following import Follower
from actors.accounts.freshness import Freshness
from actors.accounts.ledger import AccountLedger
from actors.accounts.listener import Listener
from actors.accounts.lookout import Lookout
from actors.accounts.messages import Arrived, FundingsRead, LookAround, PositionsRead, RefreshWallets, WalletRead
from actors.accounts.orders import Orders
from actors.accounts.reading import Readings
from actors.accounts.showing import Showing
from actors.accounts.telling import Teller
from actors.accounts.venue import Counts, Venue
from actors.base import AsyncActor, Report
from actors.messages import Begin, Resumed
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import Arrival, Snapshot
from indexer.domain.accounts.judging import Rules
from indexer.domain.accounts.polling import Rhythm
from indexer.domain.health.status import StreamStatus
from indexer.errors import BeginsAnew, Fenced, Impossible, IndexerError, Permanent, Transient

log = structlog.get_logger(__name__)

MOST_QUEUED = 10_000
"""Frames beyond that many waiting messages are dropped; what they said is found by reading, once half are done."""


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
        self._clock = asyncio.get_running_loop().time
        self._is_first_life = restarts == 0
        self._log = log.bind(exchange=ledger.account.exchange, account=ledger.account.name)
        self._teller = Teller(ledger, venue.wallets, rules, counts, now)
        rhythm = rhythm or Rhythm()
        readings = Readings(
            venue.wallets, start=self._start_reading, repeat=venue.tell_again, rhythm=rhythm, jitter=jitter
        )
        self._lookout = Lookout(lambda: self._post(LookAround()))
        self._orders = Orders()
        self._listener = Listener(venue, self.spawn, self._post_arrival, ledger.stream)
        self._extras = Extras(venue, spawn=self.spawn, post=self._post, stream=ledger.stream, log=self._log)
        freshness = Freshness(venue.wallets, poll_seconds=rhythm.fast, now=self._clock())
        self._follower = Follower(
            venue=venue,
            ledger=ledger,
            teller=self._teller,
            readings=readings,
            extras=self._extras,
            listener=self._listener,
            freshness=freshness,
            orders=self._orders,
            counts=counts,
            log=self._log,
        )
        self._showing = Showing(
            venue=venue,
            ledger=ledger,
            teller=self._teller,
            readings=readings,
            freshness=freshness,
            follower=self._follower,
            restarts=restarts,
            show=show,
        )
        ledger.watch(self._hold_up)
        self._has_dropped = False
        """Whether frames found no place in the inbox."""
        self._stopped: str | None = None
        """Why nothing is done any more."""

    async def receive(self, message: Any) -> None:
        if self._stopped is not None:
            if isinstance(message, RefreshWallets) and not message.done.done():
                message.done.set_exception(self._not_followed(self._stopped))
            return
        try:
            await self._handle(message)
            if self._has_dropped and self.queued < MOST_QUEUED / 2:
                self._has_dropped = False
                self._follower.miss("more frames than can be handled")
            # A burst becomes few commits: what is queued by now is merged first, up to a bound.
            if not self.queued or self._teller.is_full:
                await self._teller.flush()
                self._orders.answer()
        except Fenced as error:
            if self._is_first_life and not self._ledger.has_written:
                # A write that an earlier process had no answer to came after we loaded: the next life finds it.
                raise BeginsAnew(str(error)) from error
            self._step_down(str(error))
        self._follower.note_who_talks()
        self._lookout.by(self._follower.next_due())
        self._showing.after(message, stopped=self._stopped, queued=self.queued)

    def _step_down(self, reason: str) -> None:
        """Another process writes this stream: it goes on, we don't, and nobody restarts us."""
        self._stopped = reason
        self._log.error("account_stepped_down", reason=reason)
        self._listener.end()
        self._orders.give_up(self._not_followed(reason))
        self._orders.answer()

    def _not_followed(self, reason: str) -> Impossible:
        return Impossible(f"{self._ledger.account} is not followed: {reason}")

    def _hold_up(self, reason: str | None, since: float) -> None:
        """In the middle of a message: a commit waits for the store, or does so no longer."""
        told = None if reason is None else f"a commit waits for the store: {reason}"
        self._showing.hold_up(told, since, queued=self.queued)

    async def _handle(self, message: Any) -> None:
        match message:
            case Begin():
                await self._begin()
            case Arrived(arrival):
                self._counts.arrived(type(arrival).__name__)
                self._follower.hear(arrival)
            case WalletRead():
                self._follower.take(message)
            case PositionsRead(outcome):
                self._extras.positions_read(None if outcome is None else self._teller.see_positions(outcome).ask)
            case FundingsRead(outcome):
                self._extras.fundings_read(message)
                self._teller.see_fundings(() if outcome is None else outcome.fundings)
            case RefreshWallets():
                self._take_order(message)
            case LookAround():
                self._follower.look_around()

    async def _begin(self) -> None:
        await self._ledger.load()
        self._resumed(Resumed(self._ledger.stream, self._ledger.seq))
        self._follower.begin()
        self._follower.look_around()

    def _take_order(self, order: RefreshWallets) -> None:
        wallets = set(order.wallets or self._venue.wallets)
        self._orders.add(wallets, self._clock(), order.done, is_of_all=not order.wallets)
        self._follower.read_all(wallets)

    # --- beside the inbox --------------------------------------------------------------------------------------------

    def _start_reading(self, wallet: Wallet) -> None:
        self.spawn(self._read(wallet, self._clock()), f"read {self._ledger.stream} {wallet}")

    async def _read(self, wallet: Wallet, asked: float) -> None:
        outcome: Snapshot | IndexerError
        try:
            outcome = await self._venue.read(wallet, partial(self._follower.presses, wallet))
            asked = outcome.asked  # it may have waited for its turn: who came meanwhile is answered as well
        except (Transient, Permanent) as error:
            outcome = error
        self._post(WalletRead(wallet, asked, outcome))

    def _post_arrival(self, arrival: Arrival) -> None:
        if self.queued < MOST_QUEUED:
            self._post(Arrived(arrival))
        else:
            self._has_dropped = True

    def _post(self, message: object) -> None:
        if self.actor_ref.is_alive():
            self.actor_ref.tell(message)
