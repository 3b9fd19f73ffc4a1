"""One life of the spine in the simulated world: supervisor, projector, broadcaster and a chain."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from random import Random
from typing import Any

from pykka import ActorRef, ActorRegistry

from actors.base import Report, end
from actors.broadcaster import Broadcaster
from actors.chain import ChainActor
from actors.following import Follower
from actors.ledger import Ledger
from actors.messages import Begin, Committed
from actors.positions import Positions
from actors.projector import Projector
from actors.statusboard import StatusBoard
from actors.supervisor import StartChild, Supervisor
from indexer.app.posts import Post
from indexer.domain.chain import Address, TokenInfo
from indexer.domain.commits import Commit
from indexer.domain.restarts import RestartPolicy
from indexer.domain.streams import chain_stream
from indexer.errors import StoreUnavailable
from indexer.metrics import Metrics
from tests.sim.node import SimFeed, SimNode
from tests.sim.store import SimStore
from tests.sim.world import CHAIN_ID, WATCH

STREAM = chain_stream(CHAIN_ID)


class Infos:
    """Every token has six decimals."""

    async def describe(self, _chain: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]:
        return dict.fromkeys(tokens, TokenInfo(6, "SIM", "Simulated"))


class Client:
    """A subscriber that stays connected, and resumes with the last number it saw."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []

    @property
    def seen(self) -> int:
        return self.commits[-1].last_seq if self.commits else 0

    def deliver(self, commit: Commit) -> None:
        self.commits.append(commit)


class Life:
    """From a start to a kill or a clean stop."""

    def __init__(
        self, store: SimStore, node: SimNode, feed: SimFeed, client: Client, random: Random, window: int
    ) -> None:
        self.board = StatusBoard()
        self.gave_up: BaseException | None = None
        self._store, self._node, self._feed, self._client = store, node, feed, client
        self._random, self._window = random, window
        self._broadcaster, self._projector = Post(), Post()
        self._before: set[asyncio.Task[Any]] = set()
        self._supervisor: ActorRef[Any] | None = None

    async def start(self) -> None:
        self._before = asyncio.all_tasks()
        told = await self._patiently(self._store.positions)
        projected = {stream: stored.projected for stream, stored in self._store.checkpoints.items()}
        self.positions = Positions(told, projected)
        for commit in self._store.commits:
            if commit.first_seq > self._client.seen:
                self._client.deliver(commit)
        self._supervisor = Supervisor.start(
            give_up=self._give_up,
            jitter=self._random.random,
            policy=RestartPolicy(most_restarts=50),
            clock=asyncio.get_running_loop().time,
        )
        for name, birth in (("projector", self._project), ("broadcaster", self._broadcast)):
            await self._supervisor.ask(StartChild(name, birth), block=False)
        projector = self._projector.ref
        assert projector is not None
        await projector.ask(Begin(), block=False)
        await self._supervisor.ask(StartChild("chain", self._chain), block=False)

    def kill(self) -> None:
        """Like `kill -9`: no handler gets to say another word."""
        for task in asyncio.all_tasks() - self._before:
            task.cancel()
        for ref in ActorRegistry.get_all():
            ref.actor_stopped.set()
            ActorRegistry.unregister(ref)

    async def stop(self) -> None:
        assert self._supervisor is not None
        await end(self._supervisor, 60)

    def _give_up(self, _name: str, error: BaseException) -> None:
        self.gave_up = error

    def _project(self, report: Report) -> ActorRef[Any]:
        ref = Projector.start(
            ledger=self._store,
            books=self._store,
            checkpoints=self._store,
            positions=self.positions,
            report=report,
            clock=asyncio.get_running_loop().time,
        )
        ref.tell(Begin())
        return self._projector.move_to(ref)

    def _broadcast(self, report: Report) -> ActorRef[Any]:
        ref = Broadcaster.start(
            ledger=self._store,
            sinks=(self._client,),
            positions=self.positions,
            project=lambda commit: self._projector.tell(Committed(commit)),
            report=report,
        )
        ref.tell(Begin())
        return self._broadcaster.move_to(ref)

    def _chain(self, report: Report) -> ActorRef[Any]:
        metrics = Metrics().chain("sim")
        ledger = Ledger(
            stream=STREAM,
            chain_id=CHAIN_ID,
            window=self._window,
            commits=self._store,
            checkpoints=self._store,
            books=self._store,
            publish=lambda commit: self._broadcaster.tell(Committed(commit)),
        )
        follower = Follower(
            name="sim",
            chain_id=CHAIN_ID,
            node=self._node,
            ledger=ledger,
            tokens=Infos(),
            claim=self._store.claim,
            watch=WATCH,
            window=self._window,
            native_interval=1,
            metrics=metrics,
        )
        ref = ChainActor.start(
            name="sim",
            chain_id=CHAIN_ID,
            stream=STREAM,
            node=self._node,
            feed=self._feed,
            ledger=ledger,
            follower=follower,
            claim=self._store.claim,
            resumed=self._broadcaster.tell,
            show=self.board.show,
            metrics=metrics,
            sync_seconds=60,
            report=report,
            jitter=self._random.random,
        )
        ref.tell(Begin())
        return ref

    async def _patiently(self, ask: Any) -> Any:
        while True:
            with suppress(StoreUnavailable):
                return await ask()
