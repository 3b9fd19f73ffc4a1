"""A venue in memory, and a stage on which one account's actor plays in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from pykka import ActorRef

from actors.accounts.account import AccountActor
from actors.accounts.ledger import AccountLedger
from actors.accounts.messages import RefreshWallets
from actors.base import end
from actors.finishing import Finisher
from actors.messages import Begin, Resumed
from indexer.domain.accounts.amounts import AccountKey, Amounts, Measure, Wallet
from indexer.domain.accounts.arrivals import (
    Arrival,
    Funding,
    FundingsSeen,
    Position,
    PositionsSeen,
    Snapshot,
    StreamAlive,
    StreamLost,
    StreamOpened,
    Updated,
)
from indexer.domain.accounts.facts import AccountAlert, AccountFact, AssetUpdated
from indexer.domain.accounts.fundings import LATE, Funded
from indexer.domain.accounts.judging import Rules
from indexer.domain.accounts.records import AccountBook
from indexer.domain.health.status import StreamStatus
from indexer.domain.recording.records import fold
from indexer.domain.resuming.checkpoints import StoredCheckpoint
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import exchange_stream
from indexer.errors import BadCredentials, IndexerError
from tests.actors.fakes import FakeLog

ACCOUNT = AccountKey("binance", "main")
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def amount(total: str) -> Amounts:
    return Amounts(Decimal(total), Decimal(0), Decimal(total))


class FakeVenue:
    """Holds the truth; answers late, wrongly or not at all when told to."""

    endpoint = "fake"

    def __init__(self, *, wallets: tuple[Wallet, ...] = ("spot",), streams: bool = True, **totals: str) -> None:
        self.wallets = wallets
        self.streamed: frozenset[Wallet] = frozenset(wallets) if streams else frozenset()
        self.has_positions = False
        self.has_fundings = False
        self.truth = {asset: amount(total) for asset, total in totals.items()}
        self.errors: list[Exception] = []
        self.refuses: frozenset[Wallet] = frozenset()
        """Wallets for which the key is none."""
        self.ill: dict[Wallet, IndexerError] = {}
        """What is said of these wallets, every time."""
        self.doubtful: frozenset[Wallet] = frozenset()
        """Wallets that are said to be empty."""
        self.answers: list[dict[str, Amounts]] = []
        """Answered instead of the truth, one after the other."""
        self.delay = 0.01
        self.turn = 0.0
        """Seconds until a read leaves: others are asking as well."""
        self.reads: list[float] = []
        self.asked: list[Wallet] = []
        """Which wallet each of them was of."""
        self.taken: list[Snapshot] = []
        """Answers that were believed."""
        self.reopened: list[str] = []
        self.told_again: list[Wallet] = []
        self.logins = 0
        self.open_positions: tuple[Position, ...] = ()
        self.positions_error: Exception | None = None
        self.position_answers: list[tuple[Position, ...]] = []
        """Answered instead of the truth, one after the other."""
        self.positions_asked: list[float] = []
        self.fundings_since: list[datetime | None] = []
        self.funding_page = 100
        self.paid: tuple[Funding, ...] = ()
        self.heartbeat = True
        self.opening = 0.0
        """Seconds until the stream is open."""
        self.presses: Callable[[], bool] = lambda: False
        """Whether the newest read presses."""
        self._listener: Callable[[Arrival], None] | None = None

    async def read(self, wallet: Wallet, presses: Callable[[], bool]) -> Snapshot:
        loop = asyncio.get_running_loop()
        self.presses = presses
        await asyncio.sleep(self.turn)
        asked = loop.time()
        self.reads.append(asked)
        self.asked.append(wallet)
        found = self.answers.pop(0) if self.answers else dict(self.truth)
        if wallet in self.doubtful:
            found = {}
        await asyncio.sleep(self.delay)
        if wallet in self.refuses:
            raise BadCredentials("invalid api key, or no permission for this")
        if wallet in self.ill:
            raise self.ill[wallet]
        if self.errors:
            raise self.errors.pop(0)
        return Snapshot(wallet, found, "wallet", "rest", asked, loop.time(), _now())

    def believed(self, snapshot: Snapshot) -> None:
        self.taken.append(snapshot)

    async def positions(self) -> PositionsSeen:
        if self.positions_error is not None:
            raise self.positions_error
        now = asyncio.get_running_loop().time()
        self.positions_asked.append(now)
        found = self.position_answers.pop(0) if self.position_answers else self.open_positions
        await asyncio.sleep(self.delay)
        return PositionsSeen("futures", found, now, now + self.delay, _now())

    async def fundings(self, since: datetime | None) -> FundingsSeen:
        """Oldest first, a page at a time."""
        self.fundings_since.append(since)
        due = sorted((one for one in self.paid if since is None or one.time >= since), key=lambda one: one.time)
        page = tuple(due[: self.funding_page])
        is_all = len(page) == len(due)
        return FundingsSeen(page, _now() if is_all else page[-1].time, is_all)

    async def listen(self, on_arrival: Callable[[Arrival], None]) -> None:
        self._listener = on_arrival
        self.logins += 1
        await asyncio.sleep(self.opening)
        on_arrival(StreamOpened(self.streamed))
        while True:
            await asyncio.sleep(3)
            if self.heartbeat:
                on_arrival(StreamAlive())

    def reopen(self, reason: str) -> None:
        self.reopened.append(reason)
        self.say(StreamOpened(self.streamed))

    def tell_again(self, wallet: Wallet) -> None:
        self.told_again.append(wallet)

    def say(self, arrival: Arrival) -> None:
        assert self._listener is not None
        self._listener(arrival)

    def frame(
        self,
        measure: Measure = "wallet",
        *,
        silent: bool = False,
        timed: bool = True,
        whole: bool = False,
        **totals: str,
    ) -> None:
        """The truth changes, and the stream tells it unless it forgets to."""
        changed = {asset: amount(total) for asset, total in totals.items()}
        self.truth |= changed
        if silent:
            return
        now, clock = _now(), asyncio.get_running_loop().time()
        if whole:
            self.say(Snapshot("spot", dict(self.truth), measure, "stream", clock, clock, now, complete=False))
        else:
            self.say(Updated("spot", changed, measure, clock, now, now if timed else None))

    def tell_positions(self, *positions: Position) -> None:
        now = asyncio.get_running_loop().time()
        self.say(PositionsSeen("futures", positions, now, now, _now(), complete=False, source="stream"))

    def lose_stream(self) -> None:
        self.say(StreamLost("the socket closed"))


class FakeCounts:
    """Counts by name."""

    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()

    def arrived(self, kind: str) -> None:
        self.kept[f"arrived {kind}"] += 1

    def read(self, outcome: str) -> None:
        self.kept[f"read {outcome}"] += 1

    def drifted(self, count: int) -> None:
        self.kept["drifted"] += count

    def refused(self, rule: str) -> None:
        self.kept[f"refused {rule}"] += 1

    def committed(self, *, records: int, events: int) -> None:
        self.kept["records"] += records
        self.kept["events"] += events


class FakeBooks:
    """What a projector would have projected of a log, up to where it got."""

    def __init__(self, log: FakeLog) -> None:
        self._log = log
        self.projected = 0

    async def of_account(self, account: AccountKey) -> AccountBook:
        stream = exchange_stream(*account)
        commits = [each for each in self._log.commits if each.stream == stream and each.last_seq <= self.projected]
        folded = fold(commits).accounts
        times = [each.fact.funding for each in folded.fundings]
        until = max((one.time for one in times), default=None)
        return AccountBook(
            {key.slot: record.held for key, record in folded.current().items()},
            {symbol: row.position for (_, symbol), row in folded.positions.items()},
            Funded(until, {one.id: one.time for one in times if until is not None and one.time >= until - LATE}),
            {key.slot: row.balance for key, row in folded.baselines.items()},
        )

    async def load(self, stream: str) -> StoredCheckpoint | None:
        return StoredCheckpoint(projected=self.projected) if stream == exchange_stream(*ACCOUNT) else None


class FakeFollowings:
    """Of one account."""

    def __init__(self) -> None:
        self.wallets: set[Wallet] | None = None

    async def of(self, account: AccountKey) -> frozenset[Wallet] | None:
        assert account.name
        return None if self.wallets is None else frozenset(self.wallets)

    async def add(self, account: AccountKey, wallets: Collection[Wallet]) -> None:
        assert account.name
        self.wallets = {*(self.wallets or ()), *wallets}


class Stage:
    """`async with Stage(FakeVenue(BTC="1")) as stage:` and its actor lives until the end."""

    def __init__(
        self,
        venue: FakeVenue,
        log: FakeLog | None = None,
        rules: Rules | None = None,
        followings: FakeFollowings | None = None,
        restarts: int = 0,
    ) -> None:
        self.venue = venue
        self.log = log or FakeLog()
        self.books = FakeBooks(self.log)
        self.followings = followings or FakeFollowings()
        self.counts = FakeCounts()
        self.resumed: list[Resumed] = []
        self.shown: list[StreamStatus] = []
        self.published: list[Commit] = []
        self.deaths: list[BaseException] = []
        self._rules = rules or Rules()
        self._restarts = restarts
        self._ref: ActorRef[Any] | None = None

    async def __aenter__(self) -> Self:
        ledger = AccountLedger(
            account=ACCOUNT,
            commits=self.log,
            checkpoints=self.books,
            books=self.books,
            followings=self.followings,
            finisher=Finisher(log=self.log, publish=self.published.append),
            publish=self.published.append,
        )
        self._ref = AccountActor.start(
            venue=self.venue,
            ledger=ledger,
            rules=self._rules,
            counts=self.counts,
            resumed=self.resumed.append,
            show=self.shown.append,
            restarts=self._restarts,
            jitter=lambda: 0.5,
            now=_now,
            report=self.deaths.append,
        )
        self._ref.tell(Begin())
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._ref is not None
        await end(self._ref, 1)

    async def refresh(self, *wallets: Wallet) -> None:
        assert self._ref is not None
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ref.tell(RefreshWallets(frozenset(wallets), done))
        await asyncio.wait_for(done, 60)

    @property
    def status(self) -> StreamStatus:
        return self.shown[-1]

    @property
    def facts(self) -> list[AccountFact]:
        return [fact for commit in self.log.commits for fact in commit.facts if isinstance(fact, AccountFact)]

    @property
    def state(self) -> str:
        return self.shown[-1].state

    @property
    def updates(self) -> list[AssetUpdated]:
        return [fact for fact in self.facts if isinstance(fact, AssetUpdated)]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Every update: asset and total."""
        return [(fact.slot.asset, str(fact.held.amounts.total)) for fact in self.updates]

    @property
    def alerts(self) -> list[tuple[str, bool]]:
        return [(fact.kind, fact.cleared) for fact in self.facts if isinstance(fact, AccountAlert)]


def _now() -> datetime:
    """By the calendar, which goes as the virtual clock does."""
    return NOW + timedelta(seconds=asyncio.get_running_loop().time())
