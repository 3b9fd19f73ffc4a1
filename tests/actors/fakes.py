"""In-process stand-ins for what actors are handed; each fits the Protocols of the actors' own files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pykka import ActorRef

from actors.chains.books.ledger import Ledger
from actors.finishing import Finisher
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Head, Holding, TokenInfo
from indexer.domain.following.finality import Settled
from indexer.domain.recording.records import (
    HISTORY_SEQ,
    BalanceRecord,
    HoldingKey,
    Projection,
    RecordKey,
    Settling,
    fold,
)
from indexer.domain.resuming.checkpoints import Mark, StoredCheckpoint
from indexer.domain.resuming.reorgs import reverts
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import Checkpoint, Fact
from indexer.domain.watching import Solver, WatchedToken
from indexer.errors import Fenced, NotAToken, StoreUnavailable

TIME = datetime(2026, 11, 21, 1, 2, 3, 456_000, UTC)
STREAM = "chain:1"
USDC = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
DAI = Address("0x6B175474E89094C44Da98b954EedeAC495271d0F")


def wallet(index: int) -> Address:
    return Address(f"0x{0x5000 + index:040x}")


def holding(index: int = 0) -> Holding:
    return Holding(NATIVE, wallet(index))


def head_at(number: int, fork: str = "a", parent_fork: str | None = None) -> Head:
    def name(number: int, fork: str) -> BlockHash:
        return BlockHash(f"0x{fork}{number:063x}")

    return Head(number, name(number, fork), name(number - 1, parent_fork or fork), 1_700_000_000 + number)


def updated(number: int, balance: int, previous: int | None = 0, who: int = 0, fork: str = "a") -> BalanceUpdated:
    block = head_at(number, fork).ref
    return BalanceUpdated(1, holding(who), previous, balance, block, "native", TokenInfo(18, "ETH", "ETH"))


def commit_of(first_seq: int, *facts: Fact, stream: str = STREAM, head: Head | None = None) -> Commit:
    checkpoint = None if head is None else Checkpoint(head)
    return Commit(f"{stream}/{first_seq}", stream, first_seq, TIME, facts, checkpoint)


async def answered(ref: ActorRef[Any], seconds: float) -> None:
    """Until an actor has handled all that was in its inbox."""

    async def answer() -> None:
        await ref.ask("done?", block=False)

    await asyncio.wait_for(answer(), seconds)


class FakeLog:
    """The commit log: what `append` took, refused while `troubles` are left."""

    def __init__(self, *commits: Commit) -> None:
        self.commits: list[Commit] = []
        self.tried: list[Commit] = []
        self.writes: list[int] = []
        """How many commits each write of several brought."""
        self.troubles: list[Exception] = []
        self.lose_answers = 0
        """So many appends are written, but the answer does not come back."""
        self.unseen = 0
        """So many pages lack the newest commit: a primary elected a moment ago does not know yet that it has it."""
        self.pages: list[tuple[str, int]] = []
        for commit in commits:
            self._write(commit)

    async def append_all(self, commits: Sequence[Commit]) -> None:
        self.writes.append(len(commits))
        for commit in commits:
            if commit not in self.commits:
                await self.append(commit)

    async def append(self, commit: Commit) -> None:
        self.tried.append(commit)
        if self.troubles:
            raise self.troubles.pop(0)
        self._write(commit)
        if self.lose_answers:
            self.lose_answers -= 1
            raise StoreUnavailable("the answer was lost")

    def _write(self, commit: Commit) -> None:
        for kept in self.commits:
            if (kept.stream, kept.first_seq) == (commit.stream, commit.first_seq):
                if kept.id != commit.id:
                    raise Fenced(f"another process has written number {commit.first_seq} of {commit.stream}")
                return
        self.commits.append(commit)

    def of(self, stream: str) -> list[Commit]:
        return sorted((c for c in self.commits if c.stream == stream), key=lambda commit: commit.first_seq)

    def free(self, stream: str) -> int:
        """The number that its next commit begins with."""
        kept = self.of(stream)
        return kept[-1].last_seq + 1 if kept else 1

    async def last_seq(self, stream: str) -> int:
        return max((commit.last_seq for commit in self.of(stream)), default=0)

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]:
        self.pages.append((stream, after))
        if self.troubles:
            raise self.troubles.pop(0)
        seen = self.of(stream)
        if self.unseen:
            self.unseen -= 1
            seen = seen[:-1]
        return [commit for commit in seen if commit.last_seq > after][:limit]

    async def above_block(self, stream: str, number: int) -> list[Commit]:
        return [c for c in self.of(stream) if c.checkpoint is not None and c.checkpoint.head.number > number]

    async def positions(self) -> dict[str, int]:
        if self.troubles:
            raise self.troubles.pop(0)
        return {stream: await self.last_seq(stream) for stream in {commit.stream for commit in self.commits}}


class FakeBooks:
    """The projected collections: deletes, inserts, and keeps the higher number."""

    def __init__(self) -> None:
        self.records: dict[RecordKey, BalanceRecord] = {}
        self.current: dict[HoldingKey, BalanceRecord] = {}
        self.settlings: dict[int, Settling] = {}
        self.projections: list[Projection] = []
        self.troubles: list[Exception] = []
        self.on_project: Callable[[], None] = lambda: None

    async def project(self, projection: Projection) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.on_project()
        self.projections.append(projection)
        self.write(projection)

    def write(self, projection: Projection) -> None:
        self.records = {
            key: record
            for key, record in self.records.items()
            if (record.chain_id, record.block.hash) not in projection.orphaned
        }
        for key, record in projection.records.items():
            if key not in self.records or self.records[key].seq < record.seq:
                self.records[key] = record
        for current_key, record in projection.current.items():
            if current_key not in self.current or self.current[current_key].seq < record.seq:
                self.current[current_key] = record

        for chain_id, settling in projection.settled.items():
            if chain_id not in self.settlings or self.settlings[chain_id].seq < settling.seq:
                self.settlings[chain_id] = settling

    async def balances_of(self, chain_id: int) -> dict[Holding, BalanceRecord]:
        return {key.holding: record for key, record in self.current.items() if key.chain_id == chain_id}

    async def settled(self, chain_id: int) -> Settled:
        return self.settlings[chain_id].settled if chain_id in self.settlings else Settled()

    async def block_at_or_below(self, chain_id: int, number: int, *, heard: bool = False) -> BlockRef | None:
        blocks = [
            record.block
            for key, record in self.records.items()
            if key.chain_id == chain_id and not (heard and record.seq == HISTORY_SEQ)
        ]
        return max((block for block in blocks if block.number <= number), key=lambda block: block.number, default=None)


class FakeCheckpoints:
    """Heads and positions by stream."""

    def __init__(self, heads: Mapping[str, tuple[Head, ...]] | None = None) -> None:
        self.heads: dict[str, tuple[Head, ...]] = dict(heads or {})
        self.projected: dict[str, int] = {}
        self.marks: dict[str, Mark] = {}
        self.troubles: list[Exception] = []
        self.follows = 0

    async def load(self, stream: str) -> StoredCheckpoint | None:
        if stream not in self.heads and stream not in self.projected:
            return None
        return StoredCheckpoint(
            self.heads.get(stream, ()), self.projected.get(stream, 0), self.marks.get(stream, Mark())
        )

    async def follow(self, stream: str, heads: Sequence[Head], mark: Mark) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.follows += 1
        self.heads[stream] = tuple(heads)
        watch = mark.watch or self.marks.get(stream, mark).watch
        self.marks[stream] = replace(mark, trail=dict(mark.trail), watch=watch)

    async def set_projected(self, stream: str, seq: int) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.projected[stream] = max(seq, self.projected.get(stream, 0))


class FakeWatchlist:
    """What was added while running."""

    def __init__(self, solvers: Sequence[Solver] = (), tokens: Sequence[WatchedToken] = ()) -> None:
        self.kept_solvers = {solver.name: solver for solver in solvers}
        self.kept_tokens = {(token.chain_id, token.address): token for token in tokens}
        self.trouble: Exception | None = None

    async def solvers(self) -> Sequence[Solver]:
        return list(self.kept_solvers.values())

    async def add_solver(self, solver: Solver) -> None:
        await self._write()
        self.kept_solvers[solver.name] = solver

    async def remove_solver(self, name: str) -> None:
        await self._write()
        self.kept_solvers.pop(name, None)

    async def tokens(self) -> Sequence[WatchedToken]:
        return list(self.kept_tokens.values())

    async def add_tokens(self, tokens: Sequence[WatchedToken]) -> None:
        await self._write()
        for token in tokens:
            self.kept_tokens[token.chain_id, token.address] = token

    async def remove_token(self, chain_id: int, address: Address) -> None:
        await self._write()
        self.kept_tokens.pop((chain_id, address), None)

    async def _write(self) -> None:
        await asyncio.sleep(0)  # a database answers later, never at once
        if self.trouble is not None:
            raise self.trouble


class FakeTokenBook:
    """What tokens said of themselves."""

    def __init__(self, infos: Mapping[tuple[int, Address], TokenInfo] | None = None) -> None:
        self.infos = dict(infos or {})

    async def get(self, chain_id: int) -> Mapping[Address, TokenInfo]:
        return {address: info for (chain, address), info in self.infos.items() if chain == chain_id}

    async def put(self, chain_id: int, address: Address, info: TokenInfo) -> None:
        self.infos[chain_id, address] = info


class FakeTokenNode:
    """Knows tokens; every other address is none."""

    def __init__(self, tokens: Mapping[Address, TokenInfo]) -> None:
        self.tokens = tokens
        self.asked: list[tuple[str, Address]] = []
        self.gate = asyncio.Event()
        """While it is closed, probes are not answered."""
        self.gate.set()

    async def newest(self) -> Head:
        return Head(9, BlockHash("0x09"), BlockHash("0x08"), 9)

    async def probe(self, token: Address, _block: BlockHash) -> TokenInfo:
        if not self.gate.is_set():
            self.asked.append(("probe", token))
            await self.gate.wait()
        return self._answer("probe", token)

    async def describe(
        self, known: Mapping[Address, TokenInfo], _block: BlockHash, *, can_wait: bool = False
    ) -> dict[Address, TokenInfo]:
        self.asked += [("ask again" if can_wait else "describe", token) for token in known]
        return {token: self.tokens.get(token, info) for token, info in known.items()}

    def _answer(self, question: str, token: Address) -> TokenInfo:
        self.asked.append((question, token))
        if token not in self.tokens:
            raise NotAToken(f"{token} is no contract")
        return self.tokens[token]


class Desk:
    """A store as a ledger sees it; `open` gives one life of its writer."""

    def __init__(self, *, window: int = 8) -> None:
        self.log, self.books, self.checkpoints = FakeLog(), FakeBooks(), FakeCheckpoints()
        self.window = window
        self.now = 100.0
        self.published: list[Commit] = []

    def open(
        self,
        prepare: Callable[[Commit], None] = lambda _commit: None,
        publish: Callable[[Commit], None] | None = None,
        returned: Callable[[int], None] = lambda _seq: None,
    ) -> Ledger:
        return Ledger(
            stream=STREAM,
            chain_id=1,
            window=self.window,
            commits=self.log,
            checkpoints=self.checkpoints,
            books=self.books,
            finisher=Finisher(log=self.log, publish=publish or self.published.append),
            publish=publish or self.published.append,
            prepare=prepare,
            returned=returned,
            clock=lambda: self.now,
        )

    def project(self) -> None:
        """As the projector does with all that is in the log."""
        self.books.write(fold(self.log.of(STREAM)))
        self.checkpoints.projected[STREAM] = max((commit.last_seq for commit in self.log.of(STREAM)), default=0)


def roll_back(ledger: Ledger, ancestor: int, values: dict[Holding, int]) -> tuple[Fact, ...]:
    return reverts(ledger.above(ancestor), ledger.balances, values, head_at(ancestor).ref)
