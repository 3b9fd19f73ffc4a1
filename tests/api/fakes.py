"""The ports of the API, in memory: what a whole service would hand to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import EllipsisType
from typing import Any

from indexer.addresses import checksum
from indexer.domain.accounts.amounts import AccountKey, Wallet
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.registry import Account
from indexer.domain.balances import BalanceUpdated, Watch, misfit
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Holding, Token, TokenInfo, TxHash
from indexer.domain.health.incidents import Incident, Incidents
from indexer.domain.health.status import EndpointTrouble, NativesRead, StreamStatus
from indexer.domain.health.unread import Unread
from indexer.domain.history.jobs import Job
from indexer.domain.measuring.stats import Statistics, Stats, Tally
from indexer.domain.recording.audits import Audit, Wait
from indexer.domain.recording.records import BalanceRecord, record_of
from indexer.domain.telling.commits import Commit
from indexer.domain.watching import Solver, WatchedToken
from indexer.errors import Impossible, NameTaken, NotFound

ALICE = checksum("0x742d35cc6634c0532925a3b844bc454e4438f44e")
BOB = checksum("0x" + "b0" * 20)
USDC = checksum("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
CHAINS = {"ethereum": 1, "base": 8453}
START = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)
INFO = TokenInfo(6, "USDC", "USD Coin")
ETHER = TokenInfo(18, "ETH", "Ether")


def block(number: int) -> BlockRef:
    """One block in twelve seconds, block 100 at `START`."""
    return BlockRef(number, BlockHash(f"0x{number:064x}"), int(START.timestamp()) + 12 * (number - 100))


def update(
    seq: int,
    balance: int,
    number: int,
    *,
    previous: int | None = None,
    token: Token = USDC,
    solver: Address = ALICE,
    chain_id: int = 1,
) -> BalanceRecord:
    fact = BalanceUpdated(
        chain_id=chain_id,
        holding=Holding(token, solver),
        previous=previous,
        balance=balance,
        block=block(number),
        cause="first" if previous is None else "transfer",
        info=ETHER if token == NATIVE else INFO,
        transactions=() if previous is None else (TxHash(f"0x{seq:064x}"), TxHash(f"0x{seq + 1000:064x}")),
        unexplained=None if previous is None or token == NATIVE else 0,
    )
    return record_of(fact, seq)


def _place(record: BalanceRecord) -> tuple[int, Token, Address]:
    return record.chain_id, record.holding.token, record.holding.solver


@dataclass
class FakeBalances:
    """Rows in memory; `failure` is raised by every read."""

    rows: list[BalanceRecord] = field(default_factory=list)
    failure: Exception | None = None

    def _of(self, chain_id: int, holding: Holding) -> list[BalanceRecord]:
        if self.failure is not None:
            raise self.failure
        rows = [row for row in self.rows if row.chain_id == chain_id and row.holding == holding]
        return sorted(rows, key=lambda row: row.block.number)

    async def current(
        self,
        *,
        chain_id: int | None = None,
        token: Token | None = None,
        solver: Address | None = None,
        after: tuple[int, Token, Address] | None = None,
        limit: int = 100,
    ) -> list[BalanceRecord]:
        if self.failure is not None:
            raise self.failure
        newest = {_place(row): row for row in sorted(self.rows, key=lambda row: row.block.number)}
        wanted = (chain_id, token, solver)
        return [
            newest[place]
            for place in sorted(newest)
            if (after is None or place > after)
            and all(want is None or want == have for want, have in zip(wanted, place, strict=True))
        ][:limit]

    async def one(self, chain_id: int, holding: Holding) -> BalanceRecord | None:
        rows = self._of(chain_id, holding)
        return rows[-1] if rows else None

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None:
        rows = [row for row in self._of(chain_id, holding) if row.block.number <= number]
        return rows[-1] if rows else None

    async def at_time(self, chain_id: int, holding: Holding, time: datetime) -> BalanceRecord | None:
        rows = [row for row in self._of(chain_id, holding) if row.block.timestamp <= time.timestamp()]
        return rows[-1] if rows else None

    async def next_after(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None:
        return next((row for row in self._of(chain_id, holding) if row.block.number > number), None)

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
        rows = [row for row in self._of(chain_id, holding) if before is None or row.block.number < before]
        return _between(rows, start, end)[::-1][:limit]

    async def stats(
        self,
        chain_id: int,
        holding: Holding,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        until: datetime | None = None,
    ) -> Statistics[Stats]:
        tally = Tally()
        for row in _between(self._of(chain_id, holding), start, end):
            tally.add(datetime.fromtimestamp(row.block.timestamp, UTC), row.balance)
        return tally.statistics(until)


def _between(rows: list[BalanceRecord], start: datetime | None, end: datetime | None) -> list[BalanceRecord]:
    return [
        row
        for row in rows
        if (start is None or row.block.timestamp >= start.timestamp())
        and (end is None or row.block.timestamp <= end.timestamp())
    ]


@dataclass
class FakeLog:
    """Commits in memory; those before `kept_from` are gone."""

    commits: list[Commit] = field(default_factory=list)
    kept_from: int = 1

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]:
        return [commit for commit in self._of(stream) if commit.last_seq > after][:limit]

    async def first_seq(self, stream: str) -> int | None:
        return next((commit.first_seq for commit in self._of(stream)), None)

    async def positions(self) -> dict[str, int]:
        return {commit.stream: commit.last_seq for commit in self.commits}

    def _of(self, stream: str) -> list[Commit]:
        return [commit for commit in self.commits if commit.stream == stream and commit.first_seq >= self.kept_from]


@dataclass
class FakeFreshness:
    """`on_wait` runs while an answer waits."""

    on_wait: list[Any] = field(default_factory=list)
    failure: Exception | None = None
    last: int = 42

    def told(self) -> Mapping[str, int]:
        return {"chain:1": self.last}

    def projected(self) -> Mapping[str, int]:
        return {"chain:1": 41}

    async def caught_up(self) -> None:
        if self.failure is not None:
            raise self.failure
        for step in self.on_wait:
            step()


@dataclass
class FakeWatching:
    """Two chains, one of which watches Alice's USDC."""

    file_solver: Solver = field(default_factory=lambda: Solver("alice", ALICE, None, "file"))
    api_solvers: list[Solver] = field(default_factory=list)
    watched: list[WatchedToken] = field(default_factory=lambda: [WatchedToken(1, USDC, INFO, "file")])
    failure: Exception | None = None
    unread: frozenset[Holding] = frozenset()

    def chains(self) -> Mapping[str, int]:
        return CHAINS

    def due(self, chain_id: int) -> frozenset[Holding]:
        return self.unread if chain_id == 1 else frozenset()

    def watch(self, chain_id: int) -> Watch:
        tokens = frozenset(token.address for token in self.watched if token.chain_id == chain_id)
        return Watch(tokens, frozenset(solver.address for solver in self.solvers() if solver.is_on(chain_id)))

    def solvers(self) -> Sequence[Solver]:
        return [self.file_solver, *self.api_solvers]

    async def add_solver(self, name: str, address: Address, chains: Sequence[int] | None) -> Solver:
        for solver in self.solvers():
            if solver.name == name:
                raise NameTaken(f"there is a solver {name!r} already", "name")
            if solver.address == address:
                raise Impossible(f"this is the address of {solver.name!r}", "address")
        self.api_solvers.append(Solver(name, address, None if chains is None else tuple(chains)))
        return self.api_solvers[-1]

    async def remove_solver(self, name: str) -> None:
        if name == self.file_solver.name:
            raise Impossible("defined in the configuration file; remove it there and reload")
        kept = [solver for solver in self.api_solvers if solver.name != name]
        if kept == self.api_solvers:
            raise NotFound(f"there is no solver {name!r}")
        self.api_solvers = kept

    def tokens(self) -> Sequence[WatchedToken]:
        return self.watched

    async def add_tokens(self, chain_id: int, addresses: Sequence[Address]) -> tuple[Sequence[WatchedToken], bool]:
        if self.failure is not None:
            raise self.failure
        there = {token.address: token for token in self.watched if token.chain_id == chain_id}
        new = [WatchedToken(chain_id, address) for address in addresses if address not in there]
        self.watched = [*self.watched, *new]
        return [token for token in self.watched if token.chain_id == chain_id and token.address in addresses], bool(new)

    async def remove_token(self, chain_id: int, address: Address) -> None:
        kept = [token for token in self.watched if (token.chain_id, token.address) != (chain_id, address)]
        if kept == self.watched:
            raise NotFound("this token is not watched")
        self.watched = kept


@dataclass
class FakeControl:
    """Answers what it was given, or raises it."""

    refreshed: BalanceRecord | Exception = field(default_factory=lambda: update(9, 9, 140, previous=7))
    held: int = 140
    """The block up to which that holds."""
    reloaded: Mapping[str, Any] | Exception = field(default_factory=lambda: {"added": ["chains.base"]})

    async def refresh(self, chain_id: int, holding: Holding) -> tuple[BalanceRecord, int]:
        assert chain_id
        assert holding
        if isinstance(self.refreshed, Exception):
            raise self.refreshed
        return self.refreshed, self.held

    audited: Audit | Exception = field(default_factory=lambda: Audit(2, (), 0, 0))
    asked: list[int] = field(default_factory=list)

    async def audit(self, count: int) -> Audit:
        self.asked.append(count)
        if isinstance(self.audited, Exception):
            raise self.audited
        return self.audited

    waits: Sequence[Wait] | None = None

    def audit_waits(self) -> Sequence[Wait] | None:
        return self.waits

    watching: FakeWatching = field(default_factory=FakeWatching)
    jobs: list[Job] = field(default_factory=list)
    ordered: list[tuple[Any, ...]] = field(default_factory=list)

    async def backfill(
        self, chain_id: int, token: Token | None, solver: Address | None, first: int, last: int | None
    ) -> tuple[Sequence[Job], bool]:
        watch = self.watching.watch(chain_id)
        holdings = watch.fitting(token, solver)
        if not holdings:
            raise Impossible(f"nothing like that is watched on chain {chain_id}", misfit((watch,), token, solver))
        self.ordered.append((chain_id, token, solver, first, last))
        bounds = (chain_id, first, last, holdings)
        same = [job for job in self.jobs if (job.chain_id, job.first, job.last, job.holdings) == bounds]
        if same:
            return same, False
        made = Job(f"job{len(self.jobs)}", chain_id, first, last, holdings, created=len(self.jobs))
        self.jobs.append(made)
        return [made], True

    def backfills(self) -> Sequence[Job]:
        return self.jobs[::-1]

    async def reload(self) -> Mapping[str, Any]:
        if isinstance(self.reloaded, Exception):
            raise self.reloaded
        return self.reloaded


@dataclass
class FakeStatus:
    """Two chains: one is live at block 123, the other starts."""

    block: int | None = 123
    problems: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    more: list[StreamStatus] = field(default_factory=list)
    unread: Unread = field(default_factory=Unread)
    natives_read: NativesRead | None = None

    def streams(self) -> Sequence[StreamStatus]:
        live = StreamStatus(
            stream="chain:1",
            name="ethereum",
            state="live",
            ready=True,
            block=self.block,
            block_time=START + timedelta(seconds=276),
            newest_block=124,
            behind_since=START,
            endpoint="node-1",
            heads="ws",
            seq=42,
            troubles=(EndpointTrouble("node-2", "lost", "HTTP 401"),),
            incidents=Incidents(resync=Incident(120, "a reorg deeper than the window", START)),
            unread=self.unread,
            natives_read=self.natives_read,
        )
        return [live, StreamStatus("chain:8453", "base"), *self.more]

    def service(self) -> Mapping[str, Any]:
        config = {
            "loadedAt": "2026-11-21T01:00:00.000Z",
            "problems": [],
            "hidden": {"solvers": [], "tokens": [], "accounts": []},
        }
        return {"version": "0.1.0", "uptimeSeconds": 5.0, "store": "memory", "config": config}

    def health_problems(self) -> Sequence[str]:
        return self.problems

    def unready(self, chain_id: int | None = None) -> Sequence[str]:
        return self.reasons if chain_id in (None, 8453) else []


EVERY_WALLET: tuple[Wallet, ...] = ("spot", "funding", "earn")


class FakeAccounts:
    """Accounts in memory; `refusal` is raised by whatever changes them."""

    def __init__(self) -> None:
        self.kept: dict[AccountKey, tuple[Account, Mapping[str, str]]] = {}
        self.refusal: Exception | None = None
        self.refreshed: list[tuple[AccountKey, tuple[Wallet, ...]]] = []
        self.told = Permissions(can_trade=True, can_withdraw=False)

    def all(self) -> list[Account]:
        return [account for _, (account, _) in sorted(self.kept.items())]

    def account(self, key: AccountKey) -> Account:
        if key not in self.kept:
            raise NotFound(f"there is no account {key}", "name")
        return self.kept[key][0]

    def permissions(self, key: AccountKey) -> Permissions | None:
        return self.told if key in self.kept else None

    async def add(self, account: Account, credentials: Mapping[str, str]) -> Permissions:
        if self.refusal is not None:
            raise self.refusal
        self.kept[account.key] = (account, credentials)
        return self.told

    async def change(
        self,
        key: AccountKey,
        *,
        credentials: Mapping[str, str] | None = None,
        wallets: tuple[Wallet, ...] | None = None,
        poll_seconds: float | EllipsisType | None = ...,
    ) -> Permissions | None:
        account, before = self.account(key), self.kept[key][1]
        changed = replace(
            account,
            wallets=account.wallets if wallets is None else wallets or EVERY_WALLET,
            poll_seconds=account.poll_seconds if isinstance(poll_seconds, EllipsisType) else poll_seconds,
        )
        self.kept[key] = (changed, credentials or before)
        return self.told

    async def remove(self, key: AccountKey) -> None:
        self.account(key)
        del self.kept[key]

    async def refresh(
        self,
        key: AccountKey,
        wallets: Sequence[Wallet] = (),
        max_age_seconds: float = 0.0,  # noqa: ARG002 - nothing is ever recent here
    ) -> None:
        self.account(key)
        if self.refusal is not None:
            raise self.refusal
        self.refreshed.append((key, tuple(wallets)))
