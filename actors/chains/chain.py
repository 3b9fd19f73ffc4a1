"""One chain: hears heads and orders, and follows them through its follower."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from actors.base import AsyncActor, Report
from actors.chains.beside.errands import Errands
from actors.chains.beside.quiet import Quiet
from actors.chains.books.ledger import Ledger
from actors.chains.following import Follower
from actors.chains.health.alarm import Alarm
from actors.chains.health.health import Health
from actors.chains.health.showing import Showing
from actors.chains.health.trouble import Trouble
from actors.chains.nodes import Feed, Node
from actors.chains.reading.turns import ReadingTurns
from actors.messages import (
    Begin,
    Differed,
    Failed,
    GoOn,
    ReadOn,
    Refresh,
    Resumed,
    SyncEvery,
    TagsRead,
    TokensChanged,
    TryAgain,
    WatchChanged,
)
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockRef, Head, Holding
from indexer.domain.following.feed import FeedEvent, HeadHeard, HeadsBack, HeadsLost
from indexer.domain.health.status import StreamStatus
from indexer.errors import (
    BeginsAnew,
    Fenced,
    GivenUp,
    Impossible,
    NodeUnreachable,
    Refused,
    StateMissing,
    Transient,
    WrongChain,
)
from indexer.metrics import ChainMetrics

MOST_QUEUED = 10_000
"""Heads beyond that many waiting messages are dropped: the next one shows the gap."""


class ChainActor(AsyncActor):
    """The unit of order and of failure: one per chain."""

    def __init__(
        self,
        *,
        name: str,
        chain_id: int,
        stream: str,
        node: Node,
        feed: Feed,
        ledger: Ledger,
        follower: Follower,
        resumed: Callable[[Resumed], None],
        show: Callable[[StreamStatus], None],
        metrics: ChainMetrics,
        sync_seconds: float = 300.0,
        restarts: int = 0,
        report: Report | None = None,
        jitter: Callable[[], float] = random.random,
        quiet: Quiet | None = None,
    ) -> None:
        super().__init__(report=report)
        self._name = name
        self._stream = stream
        self._node = follower.asking
        self._feed = feed
        self._ledger = ledger
        ledger.writer.held_up = lambda: self._showing.waiting(self.queued)
        self._follower = follower
        self._resumed = resumed
        self._metrics = metrics
        self._quiet = quiet or Quiet()
        self._loop = asyncio.get_running_loop()
        self._is_first_life = restarts == 0
        self._health = Health(name, jitter)
        self._alarm = Alarm(chain_id=chain_id, health=self._health, ledger=ledger, followed=follower.followed)
        self._turns = ReadingTurns(
            chain=name, node=self._node, reader=follower.reader, line_up=lambda: self.actor_ref.tell(ReadOn())
        )
        self._showing = Showing(
            stream=stream,
            name=name,
            restarts=restarts,
            node=self._node,
            health=self._health,
            alarm=self._alarm,
            turns=self._turns,
            ledger=ledger,
            show=show,
        )
        self._trouble = Trouble(
            health=self._health,
            alarm=self._alarm,
            node=self._node,
            turns=self._turns,
            writer=ledger.writer,
            show=self._show_status,
            post=self._post,
        )
        self._errands = Errands(
            chain=name,
            chain_id=chain_id,
            node=node,
            ledger=ledger,
            followed=follower.followed,
            tokens=follower.tokens,
            misnamed=follower.misnamed,
            unanswered=follower.unanswered,
            sync_seconds=sync_seconds,
            may=self._may_sync,
            breathe=self._quiet.moment,
            jitter=jitter,
        )
        self._heard_at = 0.0
        self._loaded = False
        self._began = False
        self._failure: BaseException | None = None
        """Why what was taken over may not be in the log; this life must not go on from there."""
        follower.asking.watch(self._alarm.patience, self._trouble.overdue)

    # --- hearing -----------------------------------------------------------------------------------------------------

    async def receive(self, message: Any) -> Any:
        self._showing.busy_since = self._loop.time()
        self._quiet.busy(self._stream)
        try:
            return await self._receive(message)
        finally:
            self._showing.busy_since = None
            if not self.queued:
                self._quiet.idle(self._stream)

    async def _receive(self, message: Any) -> Any:
        match message:
            case Refresh(holding, until):
                if self._loop.time() > until:
                    raise NodeUnreachable("nobody waits for this any more")
                return await self._refresh(holding)
            case SyncEvery(seconds):
                return self._errands.sync_every(seconds)
        if self._health.halted == "stopped":
            return None
        try:
            if self._failure is not None:
                raise self._failure
            await self._try(message)
        except Fenced as error:
            if self._is_first_life and not self._ledger.writer.has_written:
                # A write that an earlier process had no answer to came after we loaded: the next life finds it.
                raise BeginsAnew(str(error)) from error
            self._health.step_down(error)
        self._show_status()
        return None

    async def _try(self, message: object) -> None:
        try:
            await self._handle(message)
            self._health.slow = None
            self._trouble.note_owed(is_owed=self._owes_a_block(), queued=self.queued)
            await self._alarm.tell_live()
        except (Transient, StateMissing, WrongChain) as error:
            asked_at = self._showing.busy_since or self._loop.time()
            await self._trouble.met(error, began=self._began, asked_at=asked_at)

    async def _handle(self, message: Any) -> None:
        match message:
            case Begin():
                await self._begin()
            case HeadHeard(head, source):
                self._showing.source = source
                newest = self._showing.newest
                if newest is None or head.number >= newest.number - 1:
                    self._metrics.stage("arrival", time.perf_counter() - self._heard_at)
                    await self._follow(head)
            case HeadsLost() | HeadsBack():
                await self._note_ears(message)
            case GoOn():
                await self._follow(self._showing.newest or await self._node.newest())
            case TryAgain(turn) if self._trouble.counts(turn):
                self._trouble.came()
                await self._try_again()
            case TagsRead():
                await self._settle(message)
            case WatchChanged(watch):
                await self._rewatch(watch, *(more.watch for more in self.also_told(WatchChanged)))
            case Differed() | Failed() | ReadOn() | TokensChanged():
                await self._read_more(message)

    async def _note_ears(self, event: HeadsLost | HeadsBack) -> None:
        match event:
            case HeadsLost(reason, is_wrong_chain):
                self._health.lost = reason
                if is_wrong_chain:
                    raise WrongChain(reason)
                await self._alarm.tell_stale(reason)
            case HeadsBack(source):
                self._showing.source, self._health.lost = source, None

    def _heard(self, event: FeedEvent) -> None:
        """Called by the feed, between two messages: note how new the chain is, and queue."""
        if isinstance(event, HeadHeard):
            self._heard_at = time.perf_counter()
            self._showing.heard(event.head, self._follower.tip)
            self._quiet.heard(self._stream)
            if self.queued > MOST_QUEUED:
                return
        self._post(event)
        self._showing.waiting(self.queued)

    def _post(self, message: object) -> None:
        if self.actor_ref.is_alive():
            self.actor_ref.tell(message)

    # --- beginning ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Start-up is recovery: there is no other path for a first start, a restart or a gap."""
        await self._follower.load()
        self._loaded = True
        self.spawn(self._follower.introducer.run(self._post), f"words {self._name}")
        self._alarm.take_over()
        self._resumed(Resumed(self._stream, self._ledger.seq))
        self._feed.watch(self._follower.watch)
        await self._connect()

    async def _connect(self) -> None:
        await self._follower.recognize()
        await self._follower.begin()
        self._began = True
        self.spawn(self._feed.run(self._heard), f"feed {self._name}")
        for errand, who in self._errands.all(self._post):
            self.spawn(errand, who)
        await self._errands.ask_first()
        await self._follow(await self._node.newest(), asked=True)

    async def _try_again(self) -> None:
        if self._health.halted == "suspended":
            self._health.halted = None
        if not self._loaded:
            await self._begin()
        elif not self._began:
            await self._connect()
        else:
            await self._follow(await self._node.newest(), asked=True)

    async def _rewatch(self, *watches: Watch) -> None:
        """What is new is read at once, not at its first transfer; what came while we were busy, in one go."""
        self._feed.watch(watches[-1])
        await self._follower.rewatch(*watches)
        if self._began and self._health.halted is None:
            # A new token may be younger than our tip, since the node was asked about it at its newest block.
            await self._follow(await self._node.newest())

    # --- following ---------------------------------------------------------------------------------------------------

    async def _follow(self, head: Head, *, asked: bool = False) -> None:
        """Only here does trouble end: the node has just answered what following needs."""
        if not self._began or self._health.halted is not None:
            return
        before = self._follower.tip
        if await self._follower.follow(head):
            self.actor_ref.tell(GoOn())
        await self._arrive()
        if self._follower.tip is not before or asked:
            self._health.well(began=self._began)

    async def _arrive(self) -> None:
        """After each step: see whether there is more to follow or to read."""
        tip = self._follower.tip
        if tip is None or self._health.halted is not None:
            return
        self._showing.reached(tip)
        if self._showing.is_far_behind(tip):
            return
        await self._errands.settle_first()
        await self._follower.introducer.introduce()
        await self._turns.read(tip)
        if await self._follower.retell():
            self.actor_ref.tell(GoOn())

    async def _read_more(self, why: Differed | Failed | ReadOn | TokensChanged) -> None:
        if isinstance(why, ReadOn):
            self._turns.came()
        else:
            self._follower.doubt(why)
        await self._arrive()

    async def _settle(self, answer: TagsRead) -> None:
        """While we are behind, the tags are of blocks that we do not know: they are read again."""
        if self._health.halted is None and not self._showing.is_far_behind(self._follower.tip):
            await self._errands.settle(answer)

    def _owes_a_block(self) -> bool:
        head, is_followed = self._showing.newest, self._began and self._health.halted is None
        return head is not None and is_followed and self._follower.known.find(head.hash) is None

    def _may_sync(self) -> bool:
        has_caught_up = self._turns.has_caught_up and not self._showing.is_far_behind(self._follower.tip)
        return has_caught_up and self._health.halted is None

    async def _refresh(self, holding: Holding) -> tuple[int, BlockRef]:
        self._refuse_unfollowed()
        if self._failure is not None:
            raise self._failure
        try:
            await self._follow(await self._node.newest())
            return await self._follower.reader.refresh(holding, self._follower.tip)
        except (Transient, Refused, StateMissing, WrongChain):
            raise
        except BaseException as error:
            # Who asks is told, and nobody dies of it: the next message does.
            self._failure = error
            self._post(GoOn())
            raise
        finally:
            if self._health.slow is not None:
                self._health.slow = None
                self.actor_ref.tell(GoOn())
            self._show_status()

    def _refuse_unfollowed(self) -> None:
        """What has not begun may in a moment; why it has not may say where a node lives."""
        if self._health.halted is not None:
            raise Impossible(f"chain {self._name} is not followed just now: {self._health.reason}")
        if not self._began:
            raise GivenUp(f"chain {self._name} has not begun yet; /api/v1/status says why")

    # --- ending and showing ------------------------------------------------------------------------------------------

    async def closing(self) -> None:
        """Unless what we know is not what the log says."""
        if self._began and self._failure is None and self._health.halted != "stopped":
            await self._ledger.save(self._follower.known)

    def over(self) -> None:
        """Cut short, or stopped while more was queued, it is busy no more either."""
        self._quiet.idle(self._stream)

    def _show_status(self) -> None:
        self._showing.status(
            self._follower.tip, began=self._began, natives_read=self._follower.natives_read, queued=self.queued
        )
