"""Follows one account: from what is heard and read to what is told and asked next. No inbox, no tasks, no timers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection

import structlog

from actors.accounts.extras import Extras
from actors.accounts.freshness import Freshness
from actors.accounts.ledger import AccountLedger
from actors.accounts.listener import Listener
from actors.accounts.messages import WalletRead
from actors.accounts.orders import Orders
from actors.accounts.reading import Readings
from actors.accounts.telling import Teller
from actors.accounts.venue import Counts, Venue
from indexer.domain.accounts.alerts import AlertKey
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import (
    Arrival,
    Moved,
    OrderMoved,
    PositionsSeen,
    Snapshot,
    StreamAlive,
    StreamLost,
    StreamOpened,
    Updated,
)
from indexer.domain.accounts.facts import AccountCause
from indexer.domain.accounts.hearing import Hearing
from indexer.domain.accounts.polling import CONFIRM_SECONDS
from indexer.errors import BadAnswer, BadCredentials, IndexerError, WalletUnsupported

OPENING_SECONDS = 5.0
"""How long the first read waits for the stream: one that was asked before it opened would be needed twice."""

OPENED_SECONDS = 2.0
"""After the stream opened, positions are read: by then it tells them as well, where it does."""

HEARD_SECONDS = 10.0
"""After a frame told positions they are read as well: the next one may be lost."""


class Follower:
    """How far the stream can be believed (`hearing`), whether nobody answers (`is_stale`), and why (`error`)."""

    def __init__(
        self,
        *,
        venue: Venue,
        ledger: AccountLedger,
        teller: Teller,
        readings: Readings,
        extras: Extras,
        listener: Listener,
        freshness: Freshness,
        orders: Orders,
        counts: Counts,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self.hearing = Hearing()
        self.is_stale = False
        self.error: str | None = None
        self.lost_by: str | None = None
        """Why the stream was lost last."""
        self._venue = venue
        self._ledger = ledger
        self._teller = teller
        self._readings = readings
        self._extras = extras
        self._listener = listener
        self._freshness = freshness
        self._orders = orders
        self._counts = counts
        self._log = log
        self._clock = asyncio.get_running_loop().time
        self._was_lost = False
        """Only then one answer is not enough when it opens: a start of 200 accounts asks no more than it has to."""
        self._stale_due = math.inf
        """When a wallet may be so old that it is told as an alert."""

    @property
    def trouble(self) -> str | None:
        """Why a newest answer is not believed, or else what went wrong last."""
        return self._readings.doubted or self.error

    def begin(self) -> None:
        """Go on with what the ledger loaded."""
        self._teller.begin()
        self._freshness.earlier(self._teller.last_heard())
        if self._ledger.is_stale:  # until a first answer comes
            self.is_stale = True
            self._freshness.unknown()
        for wallet in self._venue.streamed:
            self._readings.later(wallet, OPENING_SECONDS)
        self._listener.begin()

    def note_who_talks(self) -> None:
        """Wallets of which the stream tells are known as they are now."""
        now = self._clock()
        self._freshness.told((wallet for wallet in self._venue.streamed if self.hearing.talks(now, wallet)), now)

    def next_due(self) -> float:
        """When to look around, as things are now."""
        extras_due = self._extras.next_due if self._readings.breaker.state == "closed" else math.inf
        now = self._clock()
        stale_due = self._freshness.next_stale(now) if self._is_now_stale(now) == self.is_stale else now
        return min(self._readings.next_due(), self.hearing.next_doubt(), extras_due, self._stale_due, stale_due)

    # --- the stream --------------------------------------------------------------------------------------------------

    def hear(self, arrival: Arrival) -> None:
        if not self._listener.is_listening:
            return  # it was queued when we stopped
        now = self._clock()
        match arrival:
            case StreamOpened(wallets):
                self._open(wallets, now)
            case StreamLost(reason, still):
                self._lose_stream(reason, still)
            case StreamAlive():
                self.hearing = self.hearing.alive(now)
            case PositionsSeen():
                self.hearing = self.hearing.alive(now)
                merged = self._teller.see_positions(arrival)
                if merged.ask or merged.changed:
                    self._extras.positions_soon(CONFIRM_SECONDS if merged.ask else HEARD_SECONDS)
            case Moved(slot):
                self.hearing = self.hearing.told((slot,), now)
                self._merge(arrival, slot.wallet)
                self._readings.confirm(slot.wallet)
            case OrderMoved(wallet):
                self.hearing = self.hearing.alive(now)
                self._readings.untold(wallet)
            case Snapshot(wallet=wallet) | Updated(wallet=wallet):
                self.hearing = self.hearing.told(arrival.slots, now)
                self._merge(arrival, wallet)
                self._readings.confirm(wallet)
        self._readings.begin_due()

    def miss(self, reason: str) -> None:
        """Something that the stream said did not get here: it is begun anew, and every wallet is read."""
        if self._listener.is_listening:
            self._distrust(reason)
            self._readings.begin_due()

    def _open(self, wallets: frozenset[Wallet], now: float) -> None:
        """What happened while nobody told is found by reading at once."""
        fresh = wallets - self.hearing.open
        if not self.hearing.open or (fresh and self._was_lost):
            self._log.info("account_stream_open", endpoint=self._venue.endpoint, wallets=sorted(fresh))
        self.hearing = self.hearing.opened(wallets, now)
        self._freshness.opened(fresh, now)
        for wallet in fresh:
            self._readings.soon(wallet)
            if self._was_lost:
                self._readings.doubt_next(wallet)
        if fresh:
            self._extras.positions_soon(OPENED_SECONDS)

    def _lose_stream(self, reason: str, still: frozenset[Wallet] = frozenset()) -> None:
        """All of it, but for the wallets whose own streams are `still` open."""
        lost = self._venue.streamed - still
        if self.hearing.open & lost:
            self._log.warning("account_stream_lost", reason=reason, wallets=sorted(self.hearing.open & lost))
        self.hearing, self._was_lost = self.hearing.lost(still), True
        self.error = self.lost_by = reason
        self._freshness.lost(lost, self._clock())
        for wallet in lost:
            self._readings.suspect(wallet)
            self._readings.soon(wallet)

    def _distrust(self, reason: str) -> None:
        self._venue.reopen(reason)
        self._lose_stream(reason)

    # --- reading -----------------------------------------------------------------------------------------------------

    def take(self, read: WalletRead) -> None:
        """A read ended."""
        outcome, is_unsure, doubted = read.outcome, False, None
        if isinstance(outcome, Snapshot):
            self._weigh(read.wallet, outcome)
            is_unsure, doubted = self._teller.is_unsure, self._teller.quarantined
            self._counts.read("ok" if doubted is None else BadAnswer.__name__)
        else:
            self._counts.read(type(outcome).__name__)
            self._fail(read.wallet, outcome)
        if self._orders.settle(read, is_unsure=is_unsure, doubted=doubted):
            self._readings.soon(read.wallet)
        elif doubted is not None and self._orders.want(read.wallet):
            self._readings.soon(read.wallet, CONFIRM_SECONDS)

    def _weigh(self, wallet: Wallet, snapshot: Snapshot) -> None:
        """An answer is believed, or not: then it says only that the venue is there, and takes the key."""
        now, talks = self._clock(), self.hearing.talks(self._clock(), wallet)
        was_told = talks and not self._freshness.is_owed(wallet)  # since the wallet was read last
        ask = self._teller.merge(snapshot, wallet, self._cause(wallet))
        doubted = self._teller.quarantined
        self._listener.begin()
        self._readings.answered(wallet, snapshot.asked, stream_talks=talks, doubted=doubted)
        self._teller.over(AlertKey("authentication"), AlertKey("breaker_open"), AlertKey("not_followed"))
        self._teller.over(AlertKey("permissions", wallet), AlertKey("breaker_open", wallet))
        self._readings.settled(wallet, in_doubt=ask is not None)
        if doubted is None:
            self._freshness.read(wallet, snapshot.asked, now)
            self._venue.believed(snapshot)
        if was_told and self._teller.drifted:
            self.hearing = self.hearing.found(self._teller.drifted, now)
            self._readings.soon(wallet, CONFIRM_SECONDS)  # that answer may be older than what was lost last
        if not self._readings.is_in_doubt(wallet):
            self.error = None
        self._tell_stale(now)

    def _fail(self, wallet: Wallet, error: IndexerError) -> None:
        refused = isinstance(error, BadCredentials) and self._readings.is_refused_alone(wallet)
        if refused or isinstance(error, WalletUnsupported):
            self._readings.cannot(wallet, str(error))
            self._teller.alert(AlertKey("permissions", wallet), "warning", str(error))
            return
        self.error = str(error)
        self._readings.failed(wallet, error)
        breaker = self._readings.breaker
        if breaker.state == "suspended":
            self._orders.give_up(error)
            self._listener.end()
            self._lose_stream(str(error))
            self._teller.alert(AlertKey("authentication"), "error", str(error))
            self._teller.over(AlertKey("breaker_open"))  # it is not time that will tell
        elif breaker.pauses:
            self._teller.alert(AlertKey("breaker_open"), "warning", str(error))
        elif self._readings.is_paused(wallet):
            self._teller.alert(AlertKey("breaker_open", wallet), "warning", str(error))

    def _merge(self, arrival: Snapshot | Updated | Moved, wallet: Wallet) -> None:
        """What the stream says: whatever contradicts something, or says only half of it, is a reason to ask."""
        ask = self._teller.merge(arrival, wallet, self._cause(wallet))
        if self._teller.is_unsure:
            self._readings.decide(wallet)
            self._venue.tell_again(wallet)
        elif ask is not None:
            self._readings.at_once(wallet)

    def _cause(self, wallet: Wallet) -> AccountCause | None:
        return "refresh" if self._orders.want(wallet) else None

    def read_all(self, wallets: Collection[Wallet]) -> None:
        """Somebody waits for these wallets, and is told the rest as well."""
        self._readings.resume()
        self._extras.soon()
        for wallet in wallets:
            self._readings.soon(wallet)
        self._readings.begin_due()

    def presses(self, wallet: Wallet) -> bool:
        """Whether somebody waits for a read of it, or nobody knows what is in it until there is one."""
        return self._orders.want(wallet) or self._freshness.is_owed(wallet)

    # --- time --------------------------------------------------------------------------------------------------------

    def look_around(self) -> None:
        """What is silent, due or over by now."""
        now = self._clock()
        if self.hearing.is_dead(now):
            self._distrust("the stream gives no sign of life")
        forgotten = self.hearing.forgotten(now)
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
        self.note_who_talks()
        is_stale = self._is_now_stale(now)
        if is_stale == self.is_stale:
            return
        self.is_stale = is_stale
        if is_stale:
            self._log.warning("account_stale", reason=self.trouble)
            self._teller.stale(self.trouble or "the venue does not answer")
        else:
            self._log.info("account_live")
            self._teller.live("the venue answers again")

    def _is_now_stale(self, now: float) -> bool:
        return self._freshness.is_silent(now) or self._readings.breaker.state == "suspended"
