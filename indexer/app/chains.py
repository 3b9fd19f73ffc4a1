"""The chains that are followed just now: each with its node, its feed and its place under the supervisor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pykka import ActorDeadError, ActorRef

from actors.base import Report
from actors.chains.beside.quiet import Quiet
from actors.finishing import Finisher
from actors.history.backfill import Fill, StartAt
from actors.messages import Begin, Committed, Refresh, SyncEvery, WatchChanged
from actors.positions import Positions
from actors.statusboard import StatusBoard
from actors.supervisor import StartChild, StopChild
from actors.watching import Watching
from indexer.app.history import BackfillBoard, Past, start_of
from indexer.app.leaving import Leaving
from indexer.app.posts import Post
from indexer.app.present import Present
from indexer.app.waiting import LONGEST_SECONDS, Waiting
from indexer.config import ChainSettings
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockRef, Holding
from indexer.domain.history.jobs import Job
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import chain_of, chain_stream, history_stream
from indexer.errors import GivenUp, NotFound
from indexer.metrics import Metrics

if TYPE_CHECKING:
    from indexer.clients.evm import EvmNode, HeadFeed  # importing web3 takes a second and 30 MB
    from repositories.store import Store

T = TypeVar("T")

Connect = Callable[[ChainSettings], "tuple[EvmNode, HeadFeed]"]


@dataclass(slots=True)
class _Followed:
    settings: ChainSettings
    node: EvmNode
    feed: HeadFeed
    post: Post = field(default_factory=Post)
    lives: int = 0
    history: Post = field(default_factory=Post)
    pasts: int = 0


class Chains:
    """Starts, stops and finds chains by id; each is one child of the supervisor."""

    def __init__(
        self,
        *,
        store: Store,
        board: StatusBoard,
        connect: Connect,
        supervisor: Post,
        broadcaster: Post,
        finisher: Finisher,
        prepare: Callable[[Commit], None],
        metrics: Metrics,
        positions: Positions,
        backfills: BackfillBoard,
        waiting: Waiting,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._waiting = waiting
        self._positions = positions
        self._backfills = backfills
        self._quiet = Quiet()
        self._store = store
        self._leaving = Leaving(store.checkpoints)
        self._board = board
        self._connect = connect
        self._supervisor = supervisor
        self._broadcaster = broadcaster
        self._finisher = finisher
        self._prepare = prepare
        self._metrics = metrics
        self._followed: dict[int, _Followed] = {}
        self.watching: Watching | None = None

    def expected(self) -> Mapping[str, str]:
        """Streams and their names: the live ones first."""
        names = {chain_id: chain.settings.name for chain_id, chain in self._followed.items()}
        live = {chain_stream(chain_id): name for chain_id, name in names.items()}
        return live | {history_stream(chain_id): name for chain_id, name in names.items()}

    def node(self, chain_id: int) -> EvmNode:
        chain = self._followed.get(chain_id)
        if chain is None:
            raise NotFound(f"chain {chain_id} is not configured", field="chain")
        return chain.node

    def prepare(self, settings: ChainSettings) -> None:
        """Make its node known; nothing is asked of it yet."""
        node, feed = self._connect(settings)
        self._followed[settings.chain_id] = _Followed(settings, node, feed)

    async def leave_others(self, *, at_once: bool) -> None:
        """Whoever follows them again tells all once more; `at_once` where nobody waits for more than the store."""
        await (self._leaving.written if at_once else self._leaving.begun)(self._unfollowed())

    async def start(self, chain_id: int) -> None:
        name = self._followed[chain_id].settings.name
        self._watch(chain_id)
        await self._ask_supervisor(StartChild(_child(name), lambda report: self._give_life(chain_id, report)))
        await self._ask_supervisor(StartChild(_sibling(name), lambda report: self._give_past(chain_id, report)))

    def _watch(self, chain_id: int) -> None:
        """Once whoever had its name before has ended."""
        chain, stream = self._followed[chain_id], chain_stream(chain_id)
        name = chain.settings.name
        self._metrics.chain(name).watch_lag(
            blocks=lambda: status.lag_blocks if (status := self._board.one(stream)) else 0,
            seconds=lambda: status.lag_seconds(datetime.now(UTC)) if (status := self._board.one(stream)) else 0.0,
        )
        self._metrics.chain(name).watch_backfill(
            jobs=lambda: len(self._backfills.unfinished(chain_id)),
            blocks=lambda: sum(job.remaining for job in self._backfills.unfinished(chain_id)),
        )
        self._metrics.watch_inbox(_child(name), lambda: chain.post.waiting)
        self._metrics.watch_inbox(_sibling(name), lambda: chain.history.waiting)

    async def stop(self, chain_id: int) -> None:
        chain = await self._ended(chain_id)
        await chain.node.close()
        self._forget(chain)

    async def replace(self, settings: ChainSettings) -> None:
        """End it, and make it known as it is configured now: whoever asks meanwhile is not told that there is none."""
        chain = await self._ended(settings.chain_id)
        self._forget(chain)
        self.prepare(settings)
        await chain.node.close()

    async def _ended(self, chain_id: int) -> _Followed:
        """It is known until its actors have ended, and no longer."""
        name = self._followed[chain_id].settings.name
        await self._ask_supervisor(StopChild(_sibling(name)))
        await self._ask_supervisor(StopChild(_child(name)))
        self._quiet.idle(chain_stream(chain_id))  # whatever it was busy with: others would wait for it for ever
        self._backfills.forget(chain_id)
        self._board.forget(chain_stream(chain_id))
        self._board.forget(history_stream(chain_id))
        return self._followed.pop(chain_id)

    def _unfollowed(self) -> dict[str, int]:
        """The streams of chains that nobody follows now, and what was told of them last."""
        followed = {chain_stream(chain_id) for chain_id in self._followed}
        return {
            stream: seq
            for stream, seq in self._positions.told().items()
            if (chain_id := chain_of(stream)) is not None
            and stream == chain_stream(chain_id)
            and stream not in followed
        }

    def _forget(self, chain: _Followed) -> None:
        name = chain.settings.name
        self._metrics.forget_chain(name)
        for actor in (_child(name), _sibling(name)):
            self._metrics.forget_inbox(actor)

    async def close(self) -> None:
        """After the supervisor has ended every actor."""
        await self._leaving.close()
        for chain in self._followed.values():
            await chain.node.close()

    def rewatch(self, chain_id: int, watch: Watch) -> None:
        chain = self._followed.get(chain_id)
        if chain is not None:
            chain.post.tell(WatchChanged(watch))
            chain.history.tell(WatchChanged(watch))

    def adjust(self, settings: ChainSettings) -> None:
        """Settings that the actors take over while they live."""
        chain = self._followed[settings.chain_id]
        before, chain.settings = chain.settings, settings
        if settings.sync_interval_seconds != before.sync_interval_seconds:
            chain.post.tell(SyncEvery(settings.sync_interval_seconds))
        if settings.start_block != before.start_block:
            chain.history.tell(StartAt(start_of(settings)))

    async def refresh(self, chain_id: int, holding: Holding) -> tuple[int, BlockRef]:
        """Read it now at the newest block; where it differs, that is committed and told before this returns.

        What was read, and at which block.
        """
        chain = self._followed.get(chain_id)
        ref = chain.post.ref if chain else None
        if ref is None:
            raise _restarting(chain_id)
        until = asyncio.get_running_loop().time() + LONGEST_SECONDS
        value, block = await self.within(chain_id, _asked(chain_id, ref, Refresh(holding, until)))
        assert isinstance(block, BlockRef)  # noqa: S101 - the actor's answer, narrowed for mypy
        return int(value), block

    async def backfill(self, chain_id: int, order: Fill) -> tuple[Sequence[Job], bool]:
        """Order history to be filled; the jobs that will do it, and whether any of them is new."""
        chain = self._followed.get(chain_id)
        ref = chain.history.ref if chain else None
        if ref is None:
            raise _restarting(chain_id)
        jobs, is_new = await self.within(chain_id, _asked(chain_id, ref, order))
        return jobs, bool(is_new)

    async def within(self, chain_id: int, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to, or `GivenUp` where its chain's node keeps whoever asked waiting."""
        node = self.node(chain_id)
        return await self._waiting.answer(work, f"chain {chain_id}", lambda: node.outage)

    def _give_past(self, chain_id: int, report: Report) -> ActorRef[Any]:
        assert self.watching is not None  # noqa: S101 - set by the composition root before any start
        chain = self._followed[chain_id]
        past = Past(
            settings=chain.settings,
            node=chain.node,
            store=self._store,
            finisher=self._finisher,
            watching=self.watching,
            positions=self._positions,
            publish=lambda commit: self._broadcaster.tell(Committed(commit)),
            resumed=self._broadcaster.tell,
            show=self._backfills.show,
            show_status=self._board.show,
            waiting=lambda: chain.history.waiting,
            breathe=self._quiet.moment,
            clock=self._clock,
        )
        ref = past.start(report, chain.pasts)
        chain.pasts += 1
        chain.history.move_to(ref)
        ref.tell(Begin())
        return ref

    def _give_life(self, chain_id: int, report: Report) -> ActorRef[Any]:
        assert self.watching is not None  # noqa: S101 - set by the composition root before any start
        chain = self._followed[chain_id]
        present = Present(
            settings=chain.settings,
            node=chain.node,
            feed=chain.feed,
            store=self._store,
            finisher=self._finisher,
            watching=self.watching,
            publish=lambda commit: self._broadcaster.tell(Committed(commit)),
            prepare=self._prepare,
            resumed=self._broadcaster.tell,
            show=self._board.show,
            tell_past=chain.history.tell,
            metrics=self._metrics,
            quiet=self._quiet,
        )
        ref = present.start(report, chain.lives)
        chain.lives += 1
        chain.post.move_to(ref)
        ref.tell(Begin())
        return ref

    async def _ask_supervisor(self, order: object) -> None:
        ref = self._supervisor.ref
        if ref is not None:
            await ref.ask(order, block=False)


async def _asked(chain_id: int, ref: ActorRef[Any], order: object) -> Any:
    try:
        return await ref.ask(order, block=False)
    except ActorDeadError as error:
        raise _restarting(chain_id) from error


def _restarting(chain_id: int) -> GivenUp:
    return GivenUp(f"chain {chain_id} is being restarted; try again in a moment")


def _sibling(name: str) -> str:
    return f"history {name}"


def _child(name: str) -> str:
    return f"chain {name}"
