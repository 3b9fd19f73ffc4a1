"""What the API is given: it reads repositories and asks for changes, and knows none of the actors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import EllipsisType
from typing import Any, Protocol

from indexer.domain.accounts.amounts import AccountKey, Slot, Wallet
from indexer.domain.accounts.arrivals import Funding, Permissions
from indexer.domain.accounts.records import AccountRecord, PositionRecord
from indexer.domain.accounts.registry import Account
from indexer.domain.accounts.stats import AssetStats
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, Holding, Token
from indexer.domain.health.status import StreamStatus
from indexer.domain.history.jobs import Job
from indexer.domain.measuring.stats import Statistics, Stats
from indexer.domain.recording.audits import Audit, Wait
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.telling.commits import Commit
from indexer.domain.watching import Solver, WatchedToken


class Balances(Protocol):
    """Current balances and their history, as projected from the log."""

    async def current(
        self,
        *,
        chain_id: int | None = None,
        token: Token | None = None,
        solver: Address | None = None,
        after: tuple[int, Token, Address] | None = None,
        limit: int = 100,
    ) -> list[BalanceRecord]:
        """In the order of (chain id, token, solver), beginning after `after`."""
        ...

    async def one(self, chain_id: int, holding: Holding) -> BalanceRecord | None: ...

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None: ...

    async def at_time(self, chain_id: int, holding: Holding, time: datetime) -> BalanceRecord | None: ...

    async def next_after(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None:
        """The oldest record above block `number`; nothing where there is none."""
        ...

    async def history(
        self,
        chain_id: int,
        holding: Holding,
        *,
        limit: int,
        before: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[BalanceRecord]:
        """Newest first; `before` is a block number, exclusive; `start` and `end` are inclusive."""
        ...

    async def stats(
        self,
        chain_id: int,
        holding: Holding,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        until: datetime | None = None,
    ) -> Statistics[Stats]:
        """Over the records from `start` to `end`, both inclusive; what held last goes on `until` then."""
        ...


class CommitLog(Protocol):
    """The append-only log that everything told comes from."""

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]:
        """At most `limit` commits, oldest first, that hold an event numbered above `after`."""
        ...

    async def first_seq(self, stream: str) -> int | None:
        """The oldest number that is kept; nothing where the stream has no commit."""
        ...

    async def positions(self) -> dict[str, int]:
        """The last number of every stream."""
        ...


class Freshness(Protocol):
    """Makes answers keep up with events: what was told can be read."""

    def told(self) -> Mapping[str, int]:
        """Per stream the last number that was told."""
        ...

    def projected(self) -> Mapping[str, int]:
        """Per stream the last number that queries can see."""
        ...

    async def caught_up(self) -> None:
        """Return once all that was told can be read; `StoreUnavailable` after a few seconds."""
        ...


class Watching(Protocol):
    """Who and what is watched, from the file and added here; raises `Refused` and its children."""

    def chains(self) -> Mapping[str, int]:
        """Configured chain names and their ids."""
        ...

    def watch(self, chain_id: int) -> Watch: ...

    def due(self, chain_id: int) -> frozenset[Holding]:
        """What is watched, perhaps again, but was not read since: an older balance of it need not hold any more."""
        ...

    def solvers(self) -> Sequence[Solver]: ...

    async def add_solver(self, name: str, address: Address, chains: Sequence[int] | None) -> Solver: ...

    async def remove_solver(self, name: str) -> None: ...

    def tokens(self) -> Sequence[WatchedToken]: ...

    async def add_tokens(self, chain_id: int, addresses: Sequence[Address]) -> tuple[Sequence[WatchedToken], bool]:
        """The tokens, and whether any of them is new."""
        ...

    async def remove_token(self, chain_id: int, address: Address) -> None: ...


class Control(Protocol):
    """What the API may ask of the running service."""

    async def refresh(self, chain_id: int, holding: Holding) -> tuple[BalanceRecord, int]:
        """Read it now at the newest block, and the block up to which that holds; what differs is committed and told."""
        ...

    async def audit(self, count: int) -> Audit:
        """Read that many random records again at their own blocks; `Busy` while another audit goes on."""
        ...

    def audit_waits(self) -> Sequence[Wait] | None:
        """What the audit that goes on still waits for, chain by chain; nothing without one."""
        ...

    async def backfill(
        self, chain_id: int, token: Token | None, solver: Address | None, first: int, last: int | None
    ) -> tuple[Sequence[Job], bool]:
        """Fill the history of what is watched and fits; the jobs that will do it, and whether any of them is new."""
        ...

    def backfills(self) -> Sequence[Job]:
        """The jobs there are, newest first."""
        ...

    async def reload(self) -> Mapping[str, Any]:
        """Apply the configuration file; the difference that was applied. Raises `ConfigError`."""
        ...


class Status(Protocol):
    """How the service is doing."""

    def streams(self) -> Sequence[StreamStatus]: ...

    def service(self) -> Mapping[str, Any]:
        """`version`, `uptimeSeconds`, `store`, `config{loadedAt,problems,hidden}` of `GET /status`."""
        ...

    def health_problems(self) -> Sequence[str]:
        """Why the process cannot do its job at all; empty while it can."""
        ...

    def unready(self, chain_id: int | None = None) -> Sequence[str]:
        """The reasons against being ready; empty when ready."""
        ...


class AccountBooks(Protocol):
    """What exchange accounts hold and held, as projected from the log."""

    async def current(
        self,
        account: AccountKey | None = None,
        *,
        wallets: Collection[str] | None = None,
        asset: str | None = None,
        after: tuple[str, str, str, str] | None = None,
        limit: int = 0,
    ) -> list[AccountRecord]:
        """In the order of (exchange, account, wallet, asset), beginning after `after`; 0 is no limit."""
        ...

    async def one(self, account: AccountKey, slot: Slot) -> AccountRecord | None: ...

    async def at_time(self, account: AccountKey, slot: Slot, time: datetime) -> AccountRecord | None: ...

    async def history(
        self,
        account: AccountKey,
        slot: Slot,
        *,
        limit: int,
        before: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[AccountRecord]:
        """Newest first; `before` is a `seq`, exclusive; `start` and `end` are inclusive."""
        ...

    def balances(
        self, account: AccountKey, slot: Slot, *, start: datetime | None = None, end: datetime | None = None
    ) -> AsyncIterator[tuple[datetime, Decimal]]:
        """Every known balance with its time, oldest first."""
        ...

    async def stats(
        self,
        account: AccountKey,
        slot: Slot,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        until: datetime | None = None,
    ) -> Statistics[AssetStats]:
        """Over the records from `start` to `end`, both inclusive; what held last goes on `until` then."""
        ...

    async def positions(
        self, account: AccountKey, *, after: str | None = None, limit: int = 0
    ) -> list[PositionRecord]: ...

    async def fundings(
        self,
        account: AccountKey,
        *,
        limit: int,
        before: datetime | None = None,
        after_id: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Funding]:
        """Newest first; with `after_id` those at `before` that follow it as well; `start` and `end` are inclusive."""
        ...


class AccountControl(Protocol):
    """Which accounts are followed; raises `Refused` and its children, and `VenueUnreachable`."""

    def all(self) -> Sequence[Account]: ...

    def account(self, key: AccountKey) -> Account: ...

    def permissions(self, key: AccountKey) -> Permissions | None:
        """What the key may do, where the venue told it."""
        ...

    async def add(self, account: Account, credentials: Mapping[str, str]) -> Permissions:
        """Try the credentials, keep them sealed, and follow the account."""
        ...

    async def change(
        self,
        key: AccountKey,
        *,
        credentials: Mapping[str, str] | None = None,
        wallets: tuple[Wallet, ...] | None = None,
        poll_seconds: float | EllipsisType | None = ...,
    ) -> Permissions | None: ...

    async def remove(self, key: AccountKey) -> None: ...

    async def refresh(self, key: AccountKey, wallets: Sequence[Wallet] = (), max_age_seconds: float = 0.0) -> None:
        """Read these wallets now, or all, unless they were just read; what differs is committed and told."""
        ...
