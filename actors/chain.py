"""One chain: hears heads and orders, follows them through its follower, and copes with trouble."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from actors.base import AsyncActor, Report
from actors.following import Follower
from actors.ledger import Ledger
from actors.messages import Begin, Differed, GoOn, Refresh, Resumed, SyncEvery, TagsRead, TryAgain, WatchChanged
from actors.nodes import Node
from actors.quiet import Quiet
from actors.syncing import Syncer
from actors.tags import NO_TAGS, TagReader
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockRef, ChainIdentity, Head, Holding
from indexer.domain.facts import StreamLive, StreamStale
from indexer.domain.feed import FeedEvent, HeadHeard, HeadsBack, HeadsLost
from indexer.domain.finality import Tags, settle
from indexer.domain.status import StreamState, StreamStatus
from indexer.errors import Fenced, Impossible, StateMissing, Transient, WrongChain
from indexer.metrics import ChainMetrics

log = structlog.get_logger(__name__)

CATCHING_UP_BEYOND = 64
"""Fewer missed blocks are a hiccup, not a state worth telling."""

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0
LONGEST_WAIT_TO_BEGIN_SECONDS = 1.0
"""The client waits for its endpoints by itself meanwhile; this only lets go of the inbox."""

STALE_SECONDS = 3.0
"""Trouble that lasts longer is told."""

WRONG_CHAIN_SECONDS = 60.0
"""How often a node of the wrong chain is asked again: somebody may have corrected it."""

MOST_QUEUED = 10_000
"""Heads beyond that many waiting messages are dropped: the next one shows the gap."""


class Feed(Protocol):
    """Hears heads until it is cancelled."""

    async def run(self, on_event: Callable[[FeedEvent], None]) -> None: ...

    def watch(self, watch: Watch) -> None: ...


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
        claim: Callable[[ChainIdentity], Awaitable[None]],
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
        self._chain_id = chain_id
        self._stream = stream
        self._node = node
        self._feed = feed
        self._ledger = ledger
        self._follower = follower
        self._claim = claim
        self._resumed = resumed
        self._show = show
        self._metrics = metrics
        self._restarts = restarts
        self._jitter = jitter
        self._quiet = quiet or Quiet()
        self._loop = asyncio.get_running_loop()
        self._tag_reader = TagReader(node, lambda: follower.tip)
        self._syncer = Syncer(
            chain=name,
            node=node,
            followed=follower,
            records=ledger,
            seconds=sync_seconds,
            may=self._may_sync,
            breathe=self._quiet.moment,
            jitter=jitter,
        )
        self._tagged = NO_TAGS
        self._first_tags: Tags | None = None
        self._newest: Head | None = None
        self._heard_at = 0.0
        self._source: str | None = None
        self._behind_since: datetime | None = None
        self._loaded = False
        self._began = False
        self._caught_up = False
        self._lost: str | None = None
        self._told_stale = False
        self._halted: StreamState | None = None
        self._error: str | None = None
        self._trouble_since: float | None = None
        self._told_trouble = False
        self._turn = 0
        self._failures = 0
        self._busy_since: float | None = None
        self._shown: StreamStatus | None = None

    # --- hearing -----------------------------------------------------------------------------------------------------

    async def receive(self, message: Any) -> Any:
        self._busy_since = self._loop.time()
        self._quiet.busy(self._stream)
        try:
            return await self._receive(message)
        finally:
            self._busy_since = None
            if not self.queued:
                self._quiet.idle(self._stream)

    async def _receive(self, message: Any) -> Any:
        if isinstance(message, Refresh):
            return await self._refresh(message.holding)
        if isinstance(message, SyncEvery):
            return self._syncer.every(message.seconds)
        if self._halted == "stopped":
            return None
        try:
            await self._handle(message)
            await self._tell_live()
        except (Transient, StateMissing) as error:
            await self._in_trouble(error)
        except WrongChain as error:
            self._suspend(error)
        except Fenced as error:
            self._step_down(error)
        self._show_status()
        return None

    async def _handle(self, message: Any) -> None:
        match message:
            case Begin():
                await self._begin()
            case HeadHeard(head, source):
                self._source = source
                if self._newest is None or head.number >= self._newest.number - 1:
                    self._metrics.stage("arrival", time.perf_counter() - self._heard_at)
                    await self._follow(head)
            case HeadsLost() | HeadsBack():
                await self._note_ears(message)
            case GoOn():
                await self._follow(self._newest or await self._node.newest())
            case TryAgain(turn) if turn == self._turn:
                await self._try_again()
            case TagsRead(tags):
                await self._settle(tags)
            case WatchChanged(watch):
                await self._rewatch(watch)
            case Differed(holdings):
                self._follower.unread |= holdings & self._follower.watch.holdings()
                await self._arrive()

    async def _note_ears(self, event: HeadsLost | HeadsBack) -> None:
        match event:
            case HeadsLost(reason):
                self._lost = reason
                await self._tell_stale(reason)
            case HeadsBack(source):
                self._source, self._lost = source, None

    def _heard(self, event: FeedEvent) -> None:
        """Called by the feed, between two messages: note how new the chain is, and queue."""
        if isinstance(event, HeadHeard):
            self._newest, self._heard_at = event.head, time.perf_counter()
            tip = self._follower.tip
            if self._behind_since is None and (tip is None or event.head.number > tip.number):
                self._behind_since = datetime.now(UTC)
            self._quiet.heard(self._stream)
            if self.queued > MOST_QUEUED:
                return
        self._post(event)
        self._show_waiting()

    # --- beginning ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Start-up is recovery: there is no other path for a first start, a restart or a gap."""
        await self._follower.load()
        self._loaded = True
        self._resumed(Resumed(self._stream, self._ledger.seq))
        self._feed.watch(self._follower.watch)
        await self._connect()

    async def _connect(self) -> None:
        identity = await self._node.identity()
        if identity.chain_id != self._chain_id:
            raise WrongChain(
                f"chains.{self._name}: the node at {self._node.endpoint} follows chain {identity.chain_id}, not"
                f" {self._chain_id}; correct chain_id or rpc_urls"
            )
        await self._claim(identity)
        await self._follower.describe()
        self._began = True
        self.spawn(self._feed.run(self._heard), f"feed {self._name}")
        self.spawn(self._tag_reader.run(lambda tags: self._post(TagsRead(tags))), f"tags {self._name}")
        self.spawn(self._syncer.run(lambda unlike: self._post(Differed(unlike))), f"sync {self._name}")
        self._first_tags = await self._tag_reader.first()
        await self._follow(await self._node.newest(), asked=True)

    async def _try_again(self) -> None:
        if self._halted == "suspended":
            self._halted = None
        if not self._loaded:
            await self._begin()
        elif not self._began:
            await self._connect()
        else:
            await self._follow(await self._node.newest(), asked=True)

    async def _rewatch(self, watch: Watch) -> None:
        """What is new is read at once, not at its first transfer."""
        self._feed.watch(watch)
        await self._follower.rewatch(watch)
        if self._began and self._halted is None:
            # A new token may be younger than our tip, since the node was asked about it at its newest block.
            await self._follow(await self._node.newest())

    # --- following ---------------------------------------------------------------------------------------------------

    async def _follow(self, head: Head, *, asked: bool = False) -> None:
        """Only here does trouble end: the node has just answered what following needs."""
        if not self._began or self._halted is not None:
            return
        before = self._follower.tip
        if await self._follower.follow(head):
            self.actor_ref.tell(GoOn())
        await self._arrive()
        if self._follower.tip is not before or asked:
            self._well()

    async def _arrive(self) -> None:
        """After each step: see whether there is more to follow or to read."""
        tip = self._follower.tip
        if tip is None:
            return
        if self._newest is None or self._newest.number <= tip.number:
            self._behind_since = None
        if self._is_far_behind():
            return
        if self._first_tags is not None:
            tags, self._first_tags = self._first_tags, None
            await self._settle(tags)
        await self._follower.read_unread()
        if not self._caught_up:
            self._caught_up = True
            log.info("chain_caught_up", chain=self._name, block=tip.number, endpoint=self._node.endpoint)

    async def _settle(self, tags: Tags) -> None:
        """While we are behind, the tags are of blocks that we do not know: they are read again."""
        tip = self._follower.tip
        if tip is None or self._halted is not None or self._is_far_behind():
            return
        self._tagged = Tags(tags.safe or self._tagged.safe, tags.finalized or self._tagged.finalized)
        settled = settle(self._ledger.settling.now, self._follower.known, tags, self._tagged)
        if settled != self._ledger.settling.now:
            await self._ledger.settle(settled, tip)

    def _may_sync(self) -> bool:
        return self._caught_up and self._halted is None and not self._is_far_behind()

    def _is_far_behind(self) -> bool:
        tip = self._follower.tip
        return tip is None or (self._newest is not None and self._newest.number - tip.number > CATCHING_UP_BEYOND)

    async def _refresh(self, holding: Holding) -> tuple[int, BlockRef]:
        if not self._began or self._halted is not None:
            raise Impossible(f"chain {self._name} is not followed just now: {self._error or 'it is starting'}")
        await self._follow(await self._node.newest())
        return await self._follower.refresh(holding)

    # --- trouble -----------------------------------------------------------------------------------------------------

    async def _in_trouble(self, error: Transient | StateMissing) -> None:
        """Try again later; told once when it lasts, and at once when it keeps us from starting."""
        now = self._loop.time()
        self._error = repr(error)
        self._trouble_since = now if self._trouble_since is None else self._trouble_since
        lasting = now - self._trouble_since > STALE_SECONDS
        if not self._told_trouble and (lasting or not self._began):
            self._told_trouble = True
            log.warning("chain_troubled", chain=self._name, error=repr(error))
        if lasting:
            await self._tell_stale(str(error))
        self._failures += 1
        longest = LONGEST_RETRY_SECONDS if self._began else LONGEST_WAIT_TO_BEGIN_SECONDS
        pause = min(longest, FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 10))
        self._retry(pause * (0.5 + self._jitter() / 2))

    def _suspend(self, error: WrongChain) -> None:
        if self._halted is None and self._error != str(error):
            log.error("chain_suspended", chain=self._name, reason=str(error))
        self._halted, self._error = "suspended", str(error)
        self._retry(WRONG_CHAIN_SECONDS)

    def _step_down(self, error: Fenced) -> None:
        """Another process writes this stream: it goes on, we don't, and nobody restarts us."""
        self._halted, self._error = "stopped", str(error)
        log.error("chain_stepped_down", chain=self._name, reason=str(error))

    def _well(self) -> None:
        if self._told_trouble and self._began:
            self._told_trouble = False
            log.info("chain_well", chain=self._name)
        if self._halted is None:
            self._trouble_since, self._error, self._failures = None, None, 0

    async def _tell_live(self) -> None:
        well = self._lost is None and self._trouble_since is None
        if self._told_stale and well and self._follower.tip is not None:
            self._told_stale = False
            fact = StreamLive(self._chain_id, "heads arrive again", self._follower.tip.number)
            await self._ledger.commit((fact,), self._follower.tip)

    async def _tell_stale(self, reason: str) -> None:
        if self._told_stale or self._follower.tip is None:
            return
        self._told_stale = True
        fact = StreamStale(self._chain_id, reason, self._follower.tip.number)
        await self._ledger.commit((fact,), self._follower.tip)

    def _retry(self, seconds: float) -> None:
        self._turn += 1
        self._again(seconds, TryAgain(self._turn))

    def _again(self, seconds: float, message: object) -> None:
        self._loop.call_later(seconds, self._post, message)

    def _post(self, message: object) -> None:
        if self.actor_ref.is_alive():
            self.actor_ref.tell(message)

    async def closing(self) -> None:
        if self._began:
            await self._ledger.save(self._follower.known)

    # --- showing -----------------------------------------------------------------------------------------------------

    def _state(self) -> StreamState:
        if self._halted is not None:
            return self._halted
        if not self._began or self._follower.tip is None:
            return "starting"
        lasting = self._trouble_since is not None and self._loop.time() - self._trouble_since > STALE_SECONDS
        if self._lost is not None or lasting:
            return "stale"
        if self._follower.unread or self._is_far_behind():
            return "catching_up"
        return "live"

    def _show_status(self) -> None:
        tip, state = self._follower.tip, self._state()
        self._shown = StreamStatus(
            stream=self._stream,
            name=self._name,
            state=state,
            ready=state == "live" and self._caught_up,
            block=tip.number if tip else None,
            block_time=datetime.fromtimestamp(tip.timestamp, UTC) if tip else None,
            newest_block=self._newest.number if self._newest else None,
            behind_since=self._behind_since,
            endpoint=self._node.endpoint,
            heads="ws" if self._source == "ws" else "poll" if self._source else None,
            seq=self._ledger.seq,
            restarts=self._restarts,
            last_error=self._lost or self._error or self._ledger.store_error,
            queue_depth=self.queued,
        )
        self._show(self._shown)

    def _show_waiting(self) -> None:
        """A handler that is held up, as by a store that is gone, says nothing until it is done; what waits is shown."""
        if self._busy_since is None or self._shown is None:
            return
        held_up = self._shown.state == "live" and self._loop.time() - self._busy_since > STALE_SECONDS
        self._shown = replace(
            self._shown,
            state="stale" if held_up else self._shown.state,
            ready=self._shown.ready and not held_up,
            newest_block=self._newest.number if self._newest else None,
            behind_since=self._behind_since,
            last_error=self._lost or self._error or self._ledger.store_error,
            queue_depth=self.queued,
        )
        self._show(self._shown)
