"""A small world behind the hub: a log, its projection, what is watched; nothing waits unless a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from indexer.addresses import checksum
from indexer.domain.accounts.amounts import AccountKey, AssetKey
from indexer.domain.accounts.facts import AccountFact
from indexer.domain.accounts.records import AccountRecord
from indexer.domain.accounts.registry import Account
from indexer.domain.balances import BalanceUpdated, Watch
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Holding, Token, TokenInfo
from indexer.domain.health.status import AccountStatus, StreamStatus
from indexer.domain.health.unread import Unread
from indexer.domain.recording.records import BalanceRecord, HoldingKey, fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, ChainFinalized, Fact, Orphaned, StreamStale
from indexer.domain.telling.streams import chain_stream, exchange_stream

TIME = datetime(2026, 11, 21, 1, 2, 3, 456_000, UTC)
EPOCH = "7f3a9c01"
USDC = checksum("0x" + "a0" * 20)
CHAINS = {"ethereum": 1, "base": 8453}


def solver(number: int) -> Address:
    return checksum(f"0x{0x5000 + number:040x}")


def block(number: int, branch: int = 0) -> BlockRef:
    return BlockRef(number, BlockHash(f"0x{branch:02x}{number:062x}"), 1_700_000_000 + number)


def updated(
    who: int, balance: int, *, chain: int = 1, token: Token = NATIVE, number: int = 1, previous: int | None = 0
) -> BalanceUpdated:
    return BalanceUpdated(
        chain, Holding(token, solver(who)), previous, balance, block(number), "native", TokenInfo(6, "USDC", "USD Coin")
    )


def reverted(who: int, balance: int, *, chain: int = 1, token: Token = NATIVE, number: int = 1) -> BalanceReverted:
    orphan = Orphaned(number + 1, block(number + 1, 1).hash, 99)
    return BalanceReverted(chain, Holding(token, solver(who)), 99, balance, block(number), TokenInfo(6), (orphan,))


def finalized(number: int, chain: int = 1) -> ChainFinalized:
    return ChainFinalized(chain, block(number), "finalized")


def stale(chain: int = 1) -> StreamStale:
    return StreamStale(chain, "no endpoint answers", 7)


def stream_of(fact: Fact) -> str:
    return exchange_stream(*fact.account) if isinstance(fact, AccountFact) else chain_stream(fact.chain_id)


class Held:
    """Which exchange accounts are followed, and what is projected of them."""

    def __init__(self) -> None:
        self.followed: list[Account] = []
        self.rows: dict[AssetKey, AccountRecord] = {}
        self.questions: list[AccountKey | None] = []

    def all(self) -> Sequence[Account]:
        return self.followed

    async def current(
        self,
        account: AccountKey | None = None,
        *,
        wallets: Collection[str] | None = None,
        asset: str | None = None,
        after: tuple[str, str, str, str] | None = None,
        limit: int = 0,
    ) -> list[AccountRecord]:
        self.questions.append(account)
        await asyncio.sleep(0)
        rows = [
            row
            for key, row in sorted(self.rows.items())
            if account in (None, key.account)
            and (wallets is None or key.slot.wallet in wallets)
            and asset in (None, key.slot.asset)
            and (after is None or (*key.account, *key.slot) > after)
        ]
        return rows[:limit] if limit else rows


class World:
    """Plays log, projection, freshness, watching and status; `commit` writes, `project` makes it readable."""

    def __init__(self, solvers: int = 50, tokens: Sequence[Address] = (USDC,)) -> None:
        self.commits: dict[str, list[Commit]] = {}
        self.rows: dict[HoldingKey, BalanceRecord] = {}
        self.projected_seqs: dict[str, int] = {}
        self.watched = Watch(frozenset(tokens), frozenset(solver(number) for number in range(solvers)))
        self.unread: frozenset[Holding] = frozenset()
        self.silent = Unread()
        """What tokens of the first chain do not tell."""
        self.blocks: dict[int, int] = {1: 100, 8453: 200}
        self.held = Held()
        self.accounts: dict[AccountKey, AccountStatus] = {}
        """What accounts say of themselves."""
        self.error: Exception | None = None
        self.pages: list[int] = []
        """The limit of every page that was asked of the log."""
        self.reading: asyncio.Event | None = None
        """While set on a test's wish and not ready, reads of the log wait for it."""

    def commit(self, *facts: Fact, stream: str | None = None) -> Commit:
        name = stream or stream_of(facts[0])
        kept = self.commits.setdefault(name, [])
        first = kept[-1].last_seq + 1 if kept else 1
        made = Commit(f"{name}/{first}", name, first, TIME, tuple(facts))
        kept.append(made)
        return made

    def project(self) -> None:
        for stream, kept in self.commits.items():
            seen = self.projected_seqs.get(stream, 0)
            projection = fold(commit for commit in kept if commit.first_seq > seen)
            self.rows |= projection.current
            self.held.rows |= projection.accounts.current()
            if kept:
                self.projected_seqs[stream] = kept[-1].last_seq

    def trim(self, stream: str, before: int) -> None:
        """As retention does."""
        self.commits[stream] = [commit for commit in self.commits[stream] if commit.first_seq >= before]

    # --- CommitLog

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]:
        self.pages.append(limit)
        if self.error is not None:
            raise self.error
        if self.reading is not None:
            await self.reading.wait()
        await asyncio.sleep(0)
        return [commit for commit in self.commits.get(stream, ()) if commit.last_seq > after][:limit]

    async def positions(self) -> dict[str, int]:
        return {stream: kept[-1].last_seq for stream, kept in self.commits.items() if kept}

    # --- Balances

    async def current(
        self,
        *,
        chain_id: int | None = None,
        token: Token | None = None,
        solver: Address | None = None,
        after: tuple[int, Token, Address] | None = None,
        limit: int = 100,
    ) -> list[BalanceRecord]:
        if self.error is not None:
            raise self.error
        await asyncio.sleep(0)
        return [
            row
            for key, row in sorted(self.rows.items())
            if (chain_id is None or row.chain_id == chain_id)
            and (token is None or row.holding.token == token)
            and (solver is None or row.holding.solver == solver)
            and (after is None or (key.chain_id, *key.holding) > after)
        ][:limit]

    # --- Freshness

    def projected(self) -> Mapping[str, int]:
        return self.projected_seqs

    async def caught_up(self) -> None:
        await asyncio.sleep(0)

    # --- Watching

    def chains(self) -> Mapping[str, int]:
        return CHAINS

    def watch(self, chain_id: int) -> Watch:
        return self.watched if chain_id in CHAINS.values() else Watch()

    def due(self, chain_id: int) -> frozenset[Holding]:
        return self.unread if chain_id in CHAINS.values() else frozenset()

    # --- Status

    def streams(self) -> Sequence[StreamStatus]:
        chains = [
            StreamStatus(
                chain_stream(chain),
                name,
                "live",
                ready=True,
                block=self.blocks[chain],
                block_time=TIME,
                unread=self.silent if chain == 1 else Unread(),
            )
            for name, chain in CHAINS.items()
        ]
        accounts = [
            StreamStatus(
                exchange_stream(*one.key), str(one.key), "live", ready=True, account=self.accounts.get(one.key)
            )
            for one in self.held.followed
        ]
        return [*chains, *accounts]
