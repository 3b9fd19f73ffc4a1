"""What an account's actor has committed, and its one way to change that."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from actors.clock import now
from actors.finishing import Finisher
from actors.patience import HeldUp, patiently, until_taken
from indexer.domain.accounts import alerts
from indexer.domain.accounts.amounts import AccountKey, AssetBalance, Slot, Wallet
from indexer.domain.accounts.arrivals import Position
from indexer.domain.accounts.changes import measured_from
from indexer.domain.accounts.events import account_fact_json
from indexer.domain.accounts.facts import (
    AccountAlert,
    AccountFact,
    AccountLive,
    AccountStale,
    AssetChanged,
    AssetUpdated,
    FundingPaid,
    PositionUpdated,
)
from indexer.domain.accounts.fundings import Funded
from indexer.domain.accounts.records import AccountBook
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import exchange_stream
from indexer.errors import EventUnwritable, StoreUnavailable

COMMIT_FACTS = 2_000
"""About 1 MB; a document holds 16 MB at most."""

PAGE = 200

RECALLED = 1_000
"""So many of the newest numbers are read at a start, for what was told to be wrong and not to be over."""


Prepare = Callable[[Commit, Sequence[Mapping[str, Any]]], None]
"""Takes a commit that is being written, and what each of its facts is told as."""


class CommitLog(Protocol):
    """The append-only log; `append` is safe to repeat and raises `Fenced` when another process writes the stream."""

    async def append(self, commit: Commit) -> None: ...

    async def last_seq(self, stream: str) -> int: ...

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]: ...


class Projected(Protocol):
    """Up to which number a stream is projected."""

    @property
    def projected(self) -> int: ...


class Checkpoints(Protocol):
    """Where the projector's position survives a restart."""

    async def load(self, stream: str) -> Projected | None: ...


class Books(Protocol):
    """What is current as of the last projection."""

    async def of_account(self, account: AccountKey) -> AccountBook: ...


class Followings(Protocol):
    """Of which wallets of an account all is told that is in them, since they are followed."""

    async def of(self, account: AccountKey) -> frozenset[Wallet] | None: ...

    async def add(self, account: AccountKey, wallets: Collection[Wallet]) -> None: ...


class AccountLedger:
    """One account's numbers, and what it holds as of the last commit."""

    def __init__(
        self,
        *,
        account: AccountKey,
        commits: CommitLog,
        checkpoints: Checkpoints,
        books: Books,
        followings: Followings,
        finisher: Finisher,
        publish: Callable[[Commit], None],
        prepare: Prepare = lambda _commit, _said: None,
        written: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.account = account
        self.stream = exchange_stream(*account)
        self._commits = commits
        self._checkpoints = checkpoints
        self._books = books
        self._followings = followings
        self._finisher = finisher
        self._publish = publish
        self._prepare = prepare
        self._written = written
        self._held_up: HeldUp = lambda _reason, _since: None
        self.seq = 0
        self.has_written = False
        """Nothing that an earlier life wrote can come in between any more."""
        self.held: dict[Slot, AssetBalance] = {}
        self.positions: dict[str, Position] = {}
        self.funded = Funded()
        self.alerts: alerts.On = {}
        self.is_stale = False
        self.followed: frozenset[Wallet] | None = None
        """Wallets that were followed and told until now; nothing where that is not known."""
        self.baselines: dict[Slot, Decimal] = {}
        """From what the next `balance.changed` of each slot is measured, as far as it was told."""

    def watch(self, held_up: HeldUp) -> None:
        """Who is told while a commit waits for the store."""
        self._held_up = held_up

    async def load(self) -> None:
        """Go on where the log ends: what is projected, and over it what is not."""
        self.seq = await patiently(self.stream, self._last_seq)
        stored = await patiently(self.stream, lambda: self._checkpoints.load(self.stream))
        after = 0 if stored is None else min(stored.projected, max(0, self.seq - RECALLED))
        book = await patiently(self.stream, lambda: self._books.of_account(self.account))
        self.held, self.positions = dict(book.held), dict(book.positions)
        self.followed = await patiently(self.stream, lambda: self._followings.of(self.account))
        self.funded, self.baselines = book.funded, dict(book.baselines)
        while after < self.seq:
            page = await patiently(self.stream, partial(self._page, after))
            after = page[-1].last_seq
            for commit in page:
                self._apply(commit.facts)

    async def commit(self, facts: Sequence[AccountFact]) -> None:
        """Write all of them, then tell them; none where one cannot be told: in the log it would stay."""
        said = _said_of(facts)
        for start in range(0, len(facts), COMMIT_FACTS):
            part = tuple(facts[start : start + COMMIT_FACTS])
            commit = Commit(uuid.uuid4().hex, self.stream, self.seq + 1, now(), part)
            started = time.perf_counter()
            # While the store works: what was made to see that it can be told is what is told.
            asyncio.get_running_loop().call_soon(self._prepare, commit, said[start : start + COMMIT_FACTS])
            # The same commit until the store takes it: only so is an unanswered write not written twice.
            try:
                await until_taken(self.stream, partial(self._commits.append, commit), self._held_up)
            except asyncio.CancelledError:
                self._finisher.left((commit,))
                raise
            self.has_written = True
            self._written(time.perf_counter() - started)
            self.seq = commit.last_seq
            self._apply(part)
            self._publish(commit)
            await asyncio.sleep(0)  # whoever tells it has its turn before we do more

    async def follow(self, wallets: Collection[Wallet]) -> None:
        """All that is in them is told; a restart does not tell it again."""
        await patiently(self.stream, lambda: self._followings.add(self.account, wallets))
        self.followed = frozenset(wallets) | (self.followed or frozenset())

    async def _last_seq(self) -> int:
        await self._finisher.finished(self.stream)
        return await self._commits.last_seq(self.stream)

    async def _page(self, after: int) -> list[Commit]:
        """The next ones: the newest is never deleted, so there are some."""
        page = await self._commits.since(self.stream, after, PAGE)
        if not page:
            # A primary that was elected a moment ago: what it knows a majority to have ends lower than what it has.
            raise StoreUnavailable(f"number {self.seq} of {self.stream} cannot be read yet")
        return page

    def _apply(self, facts: Sequence[object]) -> None:
        for fact in facts:
            if isinstance(fact, AssetUpdated | AssetChanged) and (balance := measured_from(fact)) is not None:
                self.baselines[fact.slot] = balance
            match fact:
                case AssetUpdated():
                    self.held[fact.slot] = fact.held
                case PositionUpdated():
                    self.positions[fact.symbol] = fact.position
                case FundingPaid(funding=funding):
                    self.funded = self.funded.noting(funding)
                case AccountAlert():
                    self.alerts = alerts.noted(self.alerts, fact)
                case AccountStale() | AccountLive():
                    self.is_stale = isinstance(fact, AccountStale)
                case _:
                    pass


def _said_of(facts: Sequence[AccountFact]) -> list[Mapping[str, Any]]:
    """12 microseconds for each; what chains tell is made of whole numbers and needs no trial."""
    said: list[Mapping[str, Any]] = []
    for fact in facts:
        try:
            said.append(account_fact_json(fact))
        except Exception as error:
            raise EventUnwritable(f"{type(fact).__name__} cannot be told: {error!r}") from error
    return said
