"""One life of the service as far as one account goes: its actor, its client, its place in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from pykka import ActorRef, ActorRegistry

from actors.accounts.account import AccountActor
from actors.accounts.ledger import AccountLedger
from actors.accounts.messages import RefreshWallets
from actors.base import end
from actors.finishing import Finisher
from actors.messages import Begin
from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.demo.venue import Account, Venue
from indexer.domain.accounts.amounts import AccountKey, Wallet
from indexer.domain.accounts.arrivals import Arrival, Moved, Snapshot, StreamLost, StreamOpened, Updated
from indexer.domain.accounts.judging import Rules
from indexer.domain.accounts.records import AccountBook
from indexer.domain.health.status import StreamStatus
from indexer.domain.telling.commits import Commit
from indexer.errors import IndexerError
from tests.actors.accounts.fakes import FakeCounts, FakeFollowings
from tests.sim.accounts import wall
from tests.sim.accounts.lines import WiredVenues, url
from tests.sim.owners import Process
from tests.sim.store import Disk, SimStore

NAME: Final = "desk"


@dataclass
class Heard:
    """What the stream said, and when: by wallet every word, and since when it is open."""

    words: dict[Wallet, list[float]] = field(default_factory=dict)
    opened: dict[Wallet, float] = field(default_factory=dict)
    """Only those that are open."""
    lost_at: float = float("-inf")
    reading: dict[Wallet, float] = field(default_factory=dict)
    """Which reads are under way, and since when."""
    answered: dict[Wallet, tuple[float, float]] = field(default_factory=dict)
    """When the newest read that is over began, and when it ended."""

    def hear(self, arrival: object) -> None:
        now = asyncio.get_running_loop().time()
        match arrival:
            case StreamOpened(wallets):
                self.opened = {wallet: self.opened.get(wallet, now) for wallet in wallets}
            case StreamLost(still=still):
                self.opened = {wallet: since for wallet, since in self.opened.items() if wallet in still}
                self.lost_at = now
            case Updated(wallet=wallet) | Snapshot(wallet=wallet, source="stream"):
                self.words.setdefault(wallet, []).append(now)
            case Moved(slot):
                self.words.setdefault(slot.wallet, []).append(now)


class Life:
    """From a start to a kill or a clean stop."""

    def __init__(self, venue: Venue, account: Account, disk: Disk, random: Random) -> None:
        self.process = Process()
        self.heard = Heard()
        self.counts = FakeCounts()
        self.status: StreamStatus | None = None
        self.died: BaseException | None = None
        self.published: list[Commit] = []
        self._venue = venue
        self._account = account
        self._store = SimStore(disk)
        self._random = random
        self._ref: ActorRef[Any] | None = None
        self._venues: WiredVenues
        self._connection: _Overheard

    def overhear(self, hear: Callable[[object], None]) -> None:
        """Everything that the stream says and every answer, before the actor has it."""
        self._connection.overheard.append(hear)

    async def start(self) -> None:
        await asyncio.wait((self.process.spawn(self._start()),))

    async def kill(self) -> None:
        """Like `kill -9`: nobody says another word, and every connection breaks."""
        self._store.die()
        self.process.kill()
        self._venues.hang_up()
        for ref in ActorRegistry.get_all():
            ref.actor_stopped.set()
            ActorRegistry.unregister(ref)
        await self._close()

    async def stop(self) -> None:
        if self._ref is not None and self._ref.is_alive():
            await end(self._ref, 30)
        await self._close()

    async def refresh(self) -> None:
        """Somebody asks for it, and does not care how it ends."""
        if self._ref is not None and self._ref.is_alive():
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.add_done_callback(lambda over: over.cancelled() or over.exception())
            self._ref.tell(RefreshWallets(frozenset(), done))

    async def _start(self) -> None:
        dialect = DIALECTS[self._account.exchange]
        self._venues = WiredVenues(self._venue)
        self._connection = _Overheard(
            self.heard,
            dialect,
            self._venues,
            self._account.credentials,
            tuple(dialect.wallets),
            base_url=url(dialect.exchange),
            jitter=self._random.random,
            now=wall.now,
        )
        self._connection.overheard.append(self.heard.hear)
        self._ref = AccountActor.start(
            venue=self._connection,
            ledger=AccountLedger(
                account=AccountKey(dialect.exchange, NAME),
                commits=self._store.commits,
                checkpoints=self._store.checkpoints,
                books=_NothingProjected(),
                followings=FakeFollowings(),
                finisher=Finisher(log=self._store.commits, publish=self.published.append),
                publish=self.published.append,
            ),
            rules=Rules(exceptions=dialect.exceptions),
            counts=self.counts,
            resumed=lambda _resumed: None,
            show=self._show,
            jitter=self._random.random,
            now=wall.now,
            report=self._die,
        )
        self._ref.tell(Begin())

    async def _close(self) -> None:
        await self._connection.close()
        await self._venues.close()

    def _show(self, status: StreamStatus) -> None:
        self.status = status

    def _die(self, error: BaseException) -> None:
        self.died = error


class _Overheard(ExchangeAccount):
    """The product's, with some who listen in."""

    def __init__(self, heard: Heard, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.heard = heard
        self.overheard: list[Callable[[Any], None]] = []

    async def listen(self, on_arrival: Callable[[Arrival], None]) -> None:
        def all_of_them(arrival: Arrival) -> None:
            self._tell(arrival)
            on_arrival(arrival)

        await super().listen(all_of_them)

    async def read(self, wallet: Wallet, presses: Callable[[], bool] = lambda: False) -> Snapshot:
        clock = asyncio.get_running_loop().time
        began = self.heard.reading[wallet] = clock()
        try:
            snapshot = await super().read(wallet, presses)
        except IndexerError as error:
            self._tell(error)
            raise
        finally:
            self.heard.answered[wallet] = (began, clock())
            del self.heard.reading[wallet]
        self._tell(snapshot)
        return snapshot

    def _tell(self, said: object) -> None:
        for hear in self.overheard:
            hear(said)


class _NothingProjected:
    """A restart reads the whole log: what is projected is another part's work."""

    async def of_account(self, account: AccountKey) -> AccountBook:  # noqa: ARG002 - the port's
        return AccountBook()
