"""One chain's actor in a calm simulated world, heads only when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from pykka import ActorRef

from actors.base import end
from actors.chains.beside.quiet import Quiet
from actors.chains.books.ledger import Ledger
from actors.chains.chain import ChainActor
from actors.chains.following import Follower
from actors.finishing import Finisher
from actors.messages import Begin, Resumed
from actors.statusboard import StatusBoard
from indexer.domain.balances import BalanceUpdated, Watch
from indexer.domain.chain import BlockHash, Head, Holding
from indexer.domain.following.feed import FeedEvent, HeadHeard
from indexer.domain.health.status import StreamState, StreamStatus
from indexer.domain.recording.records import fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import Fact
from indexer.metrics import Metrics
from tests.sim.faults import NONE
from tests.sim.node import SimFeed, SimNode
from tests.sim.service import STREAM, Infos
from tests.sim.store import Disk, Records, SimStore
from tests.sim.world import CHAIN_ID, OUTSIDE, TOKENS, WALLETS, WATCH, World

USD = TOKENS[0]
ALICE, BOB, CAROL = WALLETS
STRANGE = BlockHash("0x" + "5a" * 32)


class Stage:
    """The world, the node, the store, and everything the actor said."""

    def __init__(self, watch: Watch = WATCH, native_interval: int = 1, window: int = 16) -> None:
        random = Random(7)  # noqa: S311 - the same story every time
        self.watch, self.native_interval, self.window = watch, native_interval, window
        self.world = World(random)
        self.node = SimNode(self.world, random, lambda: NONE)
        self.infos = Infos()
        self.feed = SimFeed(self.world, random, lambda: NONE)
        self.disk = Disk(random, lambda: NONE)
        self.store = SimStore(self.disk)
        self.finisher = Finisher(log=self.store.commits, publish=self._published)
        self.commits: list[Commit] = []
        self.resumed: list[Resumed] = []
        self.statuses: list[StreamStatus] = []
        self.board = StatusBoard()
        self.read: list[frozenset[Holding]] = []
        self.passed_over: list[int] = []
        self.branches_left = 0
        self.deaths: list[BaseException] = []
        self.metrics = Metrics()
        self.quiet = Quiet()
        self.follower: Follower
        self.ref: ActorRef[ChainActor]

    @property
    def status(self) -> StreamStatus:
        return self.statuses[-1]

    def state(self) -> StreamState:
        return self.status.state

    @property
    def facts(self) -> list[Fact]:
        return [fact for commit in self.commits for fact in commit.facts]

    def updates(self, *causes: str) -> list[BalanceUpdated]:
        return [
            fact
            for fact in self.facts
            if isinstance(fact, BalanceUpdated) and (fact.cause in causes or (not causes and fact.cause != "first"))
        ]

    def _left_branch(self) -> None:
        self.branches_left += 1

    def start(self) -> None:
        ledger = Ledger(
            stream=STREAM,
            chain_id=CHAIN_ID,
            window=self.window,
            commits=self.store.commits,
            checkpoints=self.store.checkpoints,
            books=self.store.balances,
            finisher=self.finisher,
            publish=self._published,
        )
        metrics = self.metrics.chain("sim")
        self.follower = Follower(
            name="sim",
            chain_id=CHAIN_ID,
            node=self.node,
            ledger=ledger,
            tokens=self.infos,
            book=self.store.chains,
            watch=self.watch,
            window=self.window,
            native_interval=self.native_interval,
            metrics=metrics,
            was_read=self.read.append,
            passed_over=self.passed_over.append,
            left_branch=self._left_branch,
        )
        self.ref = ChainActor.start(
            name="sim",
            chain_id=CHAIN_ID,
            stream=STREAM,
            node=self.node,
            feed=self.feed,
            ledger=ledger,
            follower=self.follower,
            resumed=self.resumed.append,
            show=self._show,
            metrics=metrics,
            sync_seconds=300,
            report=self.deaths.append,
            jitter=lambda: 0.5,
            quiet=self.quiet,
        )
        self.ref.tell(Begin())

    async def stop(self) -> None:
        await end(self.ref, 10)

    async def settle(self, seconds: float = 1.0) -> None:
        """Let virtual time pass; no deaths are swallowed."""
        await asyncio.sleep(seconds)
        assert not self.deaths

    async def hear(self, *heads: Head) -> None:
        for head in heads:
            self.say(HeadHeard(head, "ws"))
        await self.settle()

    def say_tip(self) -> None:
        self.say(HeadHeard(self.world.tip, "ws"))

    def say_next(self) -> None:
        """A block in which somebody is paid 1, announced at once."""
        self.say(HeadHeard(self.world.pay(TOKENS[0], OUTSIDE, WALLETS[1], 1), "ws"))

    def say(self, event: FeedEvent) -> None:
        for listener in tuple(self.feed.listeners):
            listener(event)

    def _show(self, status: StreamStatus) -> None:
        self.statuses.append(status)
        self.board.show(status)

    def _published(self, commit: Commit) -> None:
        """What broadcaster and projector do, at once."""
        self.commits.append(commit)
        self.board.tell(commit)
        projection, kept = fold([commit]), self.disk.kept
        for key in [k for k, row in kept.records.items() if (row.chain_id, row.block.hash) in projection.orphaned]:
            del kept.records[key]
        for key, row in projection.records.items():
            kept.records[key] = row
        kept.current.update(projection.current)

    def unproject(self, head: Head) -> None:
        """As if the projector had not come that far."""
        kept = self.disk.kept
        kept.records = Records((key, row) for key, row in kept.records.items() if row.block.hash != head.hash)


@asynccontextmanager
async def staged(**settings: Any) -> AsyncIterator[Stage]:
    """A stage whose actor has begun on a chain of three blocks."""
    stage = Stage(**settings)
    for _ in range(3):
        stage.world.mine()
    stage.start()
    await stage.settle()
    try:
        yield stage
    finally:
        await stage.stop()
        await stage.finisher.close()
