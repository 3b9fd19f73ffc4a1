"""An account's word on itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from actors.accounts.following import Follower
from actors.accounts.freshness import Freshness
from actors.accounts.ledger import AccountLedger
from actors.accounts.messages import Arrived
from actors.accounts.reading import Readings
from actors.accounts.telling import Teller
from actors.accounts.venue import Venue
from indexer.domain.accounts.amounts import Slot, Wallet
from indexer.domain.accounts.arrivals import StreamAlive
from indexer.domain.health.status import STALE_SECONDS, AccountStatus, StreamState, StreamStatus


class Showing:
    """Puts what is known of an account into a status, and shows it when it is another than before."""

    def __init__(
        self,
        *,
        venue: Venue,
        ledger: AccountLedger,
        teller: Teller,
        readings: Readings,
        freshness: Freshness,
        follower: Follower,
        restarts: int,
        show: Callable[[StreamStatus], None],
    ) -> None:
        self._venue = venue
        self._ledger = ledger
        self._teller = teller
        self._readings = readings
        self._freshness = freshness
        self._follower = follower
        self._restarts = restarts
        self._show = show
        self._clock = asyncio.get_running_loop().time
        self._shown: StreamStatus | None = None
        self._held_up: str | None = None
        """Why a commit waits for the store, while one does."""
        self._held_since = 0.0

    def hold_up(self, reason: str | None, since: float, *, queued: int) -> None:
        self._held_up, self._held_since = reason, since
        self._put(self._status(None, queued))

    def after(self, message: object, *, stopped: str | None, queued: int) -> None:
        """This message was handled, and so many wait; `stopped` says why nothing is done any more."""
        # A sign of life from a stream that talks changes nothing, and comes every three seconds from each.
        is_alive = isinstance(message, Arrived) and isinstance(message.arrival, StreamAlive)
        shown = self._shown
        if is_alive and shown is not None and shown.heads == "ws" and not (queued or shown.queue_depth):
            return
        self._put(self._status(stopped, queued))

    def _put(self, status: StreamStatus) -> None:
        if status != self._shown:
            self._shown = status
            self._show(status)

    def _status(self, stopped: str | None, queued: int) -> StreamStatus:
        now = self._clock()
        kept_out = self._teller.kept_out
        owed = self._freshness.owed(now, self._readings.unsupported)
        state, talks = self._state(stopped, owed), self._follower.hearing.talks(now)
        return StreamStatus(
            stream=self._ledger.stream,
            name=str(self._ledger.account),
            state=state,
            ready=state == "live",
            endpoint=self._venue.endpoint,
            heads="ws" if talks else "poll",
            seq=self._ledger.seq,
            restarts=self._restarts,
            last_error=stopped or self._held_up or self._follower.trouble or self._said_of(owed) or _first(kept_out),
            queue_depth=queued,
            account=AccountStatus(
                breaker=self._readings.breaker,
                streamed=tuple(sorted(self._follower.hearing.open)) if talks else (),
                unsupported=self._readings.unsupported,
                stale=self._freshness.stale(now, self._readings.unsupported),
                kept_out=tuple(sorted(kept_out)),
                answered=self._readings.answers,
                failed=self._readings.failures,
            ),
        )

    def _said_of(self, owed: tuple[Wallet, ...]) -> str | None:
        names = f"the {owed[0]} wallet is" if len(owed) == 1 else f"the wallets {', '.join(owed)} are"
        return f"{names} to be read since the stream was lost: {self._follower.lost_by}" if owed else None

    def _state(self, stopped: str | None, owed: tuple[Wallet, ...]) -> StreamState:
        if stopped is not None:
            return "stopped"
        if self._readings.breaker.state == "suspended":
            return "suspended"
        is_held_up = self._held_up is not None and self._clock() - self._held_since > STALE_SECONDS
        if self._follower.is_stale or is_held_up:
            return "stale"
        if not self._teller.is_complete(self._readings.unsupported):
            return "starting" if self._ledger.seq == 0 else "catching_up"
        return "catching_up" if owed else "live"


def _first(kept_out: Mapping[Slot, str]) -> str | None:
    if not kept_out:
        return None
    slot = min(kept_out)
    others = f" (and {len(kept_out) - 1} more)" if len(kept_out) > 1 else ""
    return f"{slot.asset} of the {slot.wallet} wallet is kept out: {kept_out[slot]}{others}"
