"""One chain: hears heads, decides what they mean, reads what changed, and commits it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from actors.base import AsyncActor, Report
from actors.ledger import Ledger
from actors.messages import Begin, GoOn, Refresh, Resumed, SyncDue, TryAgain, WatchChanged
from indexer.domain.balances import BalanceUpdated, Cause, Watch, changes, touched
from indexer.domain.chain import Address, BlockHash, BlockRef, ChainIdentity, Head, Holding, TokenInfo
from indexer.domain.facts import StreamLive, StreamResync, StreamStale
from indexer.domain.feed import FeedEvent, HeadHeard, HeadsBack, HeadsLost
from indexer.domain.headchain import Extended, HeadChain, Known, Missed, Reorged, advance, is_linked
from indexer.domain.reorgs import affected, common_ancestor, reverts
from indexer.domain.status import StreamState, StreamStatus
from indexer.domain.views import BlockView, Readings
from indexer.errors import BadAnswer, Fenced, Impossible, StateMissing, Transient, WrongChain
from indexer.metrics import ChainMetrics

log = structlog.get_logger(__name__)

CATCH_UP_BLOCKS = 32
"""Blocks looked at in one round trip when some were missed; with 1,000 wallets an answer of about 2 MB."""

CATCHING_UP_BEYOND = 64
"""Fewer missed blocks are a hiccup, not a state worth telling."""

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0

STALE_SECONDS = 3.0
"""Trouble that lasts longer is told."""

WRONG_CHAIN_SECONDS = 60.0
"""How often a node of the wrong chain is asked again: somebody may have corrected it."""

MOST_QUEUED = 10_000
"""Heads beyond that many waiting messages are dropped: the next one shows the gap."""


class Node(Protocol):
    """Answers questions about blocks; every balance is read at exactly the block asked for."""

    @property
    def endpoint(self) -> str: ...

    async def identity(self) -> ChainIdentity: ...

    async def newest(self) -> Head: ...

    async def headers(self, first: int, last: int) -> tuple[Head, ...]: ...

    async def look(self, heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]: ...

    async def read(self, wanted: Mapping[BlockHash, Collection[Holding]]) -> dict[BlockHash, Readings]: ...


class Feed(Protocol):
    """Hears heads until it is cancelled."""

    async def run(self, on_event: Callable[[FeedEvent], None]) -> None: ...

    def watch(self, watch: Watch) -> None: ...


class Tokens(Protocol):
    """What tokens say of themselves, asked once."""

    async def describe(self, chain_id: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]: ...


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
        tokens: Tokens,
        claim: Callable[[ChainIdentity], Awaitable[None]],
        watch: Watch,
        window: int,
        resumed: Callable[[Resumed], None],
        show: Callable[[StreamStatus], None],
        metrics: ChainMetrics,
        native_interval: int = 1,
        sync_seconds: float = 300.0,
        restarts: int = 0,
        report: Report | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(report=report)
        self._name = name
        self._chain_id = chain_id
        self._stream = stream
        self._node = node
        self._feed = feed
        self._ledger = ledger
        self._tokens = tokens
        self._claim = claim
        self._watch = watch
        self._resumed = resumed
        self._show = show
        self._metrics = metrics
        self._native_interval = native_interval
        self._sync_seconds = sync_seconds
        self._restarts = restarts
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._known = HeadChain(window)
        self._infos: Mapping[str, TokenInfo] = {}
        self._unread: frozenset[Holding] = frozenset()
        self._unreadable: Mapping[Holding, str] = {}
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

    # --- hearing -----------------------------------------------------------------------------------------------------

    async def receive(self, message: Any) -> Any:
        if isinstance(message, Refresh):
            return await self._refresh(message.holding)
        if self._halted == "stopped":
            return None
        try:
            await self._handle(message)
        except Transient as error:
            await self._in_trouble(error)
        except WrongChain as error:
            self._suspend(error)
        except Fenced as error:
            await self._step_down(error)
        else:
            await self._well()
        self._show_status()
        return None

    async def _handle(self, message: Any) -> None:
        match message:
            case Begin():
                await self._begin()
            case HeadHeard(head, source):
                self._source = source
                if self._newest is None or head.number >= self._newest.number - 1:
                    await self._follow(head)
            case HeadsLost(reason):
                self._lost = reason
                await self._tell_stale(reason)
            case HeadsBack(source):
                self._source, self._lost = source, None
            case GoOn():
                await self._follow(self._newest or await self._node.newest())
            case TryAgain(turn) if turn == self._turn:
                await self._try_again()
            case WatchChanged(watch):
                await self._rewatch(watch)
            case SyncDue():
                self._again(self._sync_seconds, SyncDue())
                self._unread = self._watch.holdings()
                await self._read_unread("sync")

    def _heard(self, event: FeedEvent) -> None:
        """Called by the feed, between two messages: note how new the chain is, and queue."""
        if isinstance(event, HeadHeard):
            self._newest, self._heard_at = event.head, self._loop.time()
            tip = self._known.tip
            if self._behind_since is None and (tip is None or event.head.number > tip.number):
                self._behind_since = datetime.now(UTC)
            if self.queued > MOST_QUEUED:
                return
        if self.actor_ref.is_alive():
            self.actor_ref.tell(event)

    # --- beginning ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Start-up is recovery: there is no other path for a first start, a restart or a gap."""
        self._known = await self._ledger.load()
        self._loaded = True
        self._resumed(Resumed(self._stream, self._ledger.seq))
        self._unread = self._watch.holdings()
        self._feed.watch(self._watch)
        self._again(self._sync_seconds * (0.5 + self._jitter() / 2), SyncDue())
        await self._connect()

    async def _connect(self) -> None:
        identity = await self._node.identity()
        if identity.chain_id != self._chain_id:
            raise WrongChain(
                f"chains.{self._name}: the node at {self._node.endpoint} follows chain {identity.chain_id}, not"
                f" {self._chain_id}; correct chain_id or rpc_urls"
            )
        await self._claim(identity)
        self._infos = await self._tokens.describe(self._chain_id, self._watch.tokens)
        self._began = True
        self.spawn(self._feed.run(self._heard), f"feed {self._name}")
        await self._follow(await self._node.newest())

    async def _try_again(self) -> None:
        if self._halted == "suspended":
            self._halted = None
        if not self._loaded:
            await self._begin()
        elif not self._began:
            await self._connect()
        else:
            await self._follow(await self._node.newest())

    async def _rewatch(self, watch: Watch) -> None:
        """What is new is read at once, not at its first transfer."""
        added = watch.holdings() - self._watch.holdings()
        self._watch = watch
        self._unread = (self._unread | added) & watch.holdings()
        self._unreadable = {key: why for key, why in self._unreadable.items() if watch.covers(key)}
        self._feed.watch(watch)
        if self._began:
            self._infos = await self._tokens.describe(self._chain_id, watch.tokens)
            await self._read_unread("sync")

    # --- deciding ----------------------------------------------------------------------------------------------------

    async def _follow(self, head: Head) -> None:
        if not self._began or self._halted is not None:
            return
        match advance(self._known, head):
            case Known():
                pass
            case Extended():
                await self._index((head,))
            case Missed(first, last):
                if not await self._catch_up(first, last):
                    await self._repair()
            case Reorged():
                await self._repair()
        await self._arrive()

    async def _arrive(self) -> None:
        """After each step: see whether there is more to follow or to read."""
        tip = self._known.tip
        if tip is None:
            return
        if self._newest is None or self._newest.number <= tip.number:
            self._behind_since = None
        if self._unread and not self._is_far_behind():
            await self._read_unread("sync")
        if not self._unread and not self._is_far_behind() and not self._caught_up:
            self._caught_up = True
            log.info("chain_caught_up", chain=self._name, block=tip.number, endpoint=self._node.endpoint)

    async def _catch_up(self, first: int, last: int) -> bool:
        """Index the first chunk of what was missed; False when it does not sit on our tip."""
        end = min(last, first + CATCH_UP_BLOCKS - 1)
        heads = await self._node.headers(first, end)
        if not heads or heads[0].number != first or not is_linked(None, heads):
            raise BadAnswer(f"headers {first} to {end} are not one chain")
        if not is_linked(self._known.tip, heads[:1]):
            return False
        self._metrics.gap(len(heads))
        try:
            await self._index(heads)
        except StateMissing as error:
            await self._resync(f"blocks {first} to {end} cannot be read any more: {error}")
            return True
        if end < last:
            self.actor_ref.tell(GoOn())
        return True

    def _is_far_behind(self) -> bool:
        tip = self._known.tip
        return tip is None or (self._newest is not None and self._newest.number - tip.number > CATCHING_UP_BEYOND)

    # --- acting ------------------------------------------------------------------------------------------------------

    async def _index(self, heads: Sequence[Head]) -> None:
        """Look at these blocks and commit what each of them changed, in order."""
        if self._known.tip is None:
            self._known = self._known.extend(heads[-1])
            self._unread = self._watch.holdings()
            return
        started = self._loop.time()
        self._metrics.stage("arrival", started - self._heard_at if self._heard_at else 0.0)
        natives = self._native_interval == 1 or any(head.number % self._native_interval == 0 for head in heads)
        views = await self._node.look(heads, self._watch, natives=natives)
        looked = self._loop.time()
        self._metrics.stage("logs", looked - started)
        readings = await self._read_surprises(views)
        self._metrics.stage("reads", self._loop.time() - looked)
        for view in views:
            await self._close(view, readings.get(view.head.hash, Readings()))

        await self._ledger.follow(self._known)

    async def _read_surprises(self, views: Sequence[BlockView]) -> dict[BlockHash, Readings]:
        """The holdings that the logs name and nobody hinted at."""
        wanted = {
            view.head.hash: surprising
            for view in views
            if (surprising := touched(view.transfers, self._watch) - view.readings.values.keys())
        }
        return await self._node.read(wanted) if wanted else {}

    async def _close(self, view: BlockView, more: Readings) -> None:
        head = view.head
        if more.unreadable:
            self._note_unreadable(more.unreadable)
        facts = changes(
            self._chain_id,
            head.ref,
            self._ledger.balances,
            {**view.readings.values, **more.values},
            view.transfers,
            self._infos,
        )
        if facts:
            await self._ledger.commit(facts, head)
        self._known = self._known.extend(head)
        self._metrics.block_done(records=len(facts), events=len(facts))

    async def _read_unread(self, cause: Cause) -> None:
        """Read what was never read, or must be read again, at our own tip."""
        tip = self._known.tip
        if tip is None or not self._unread:
            return
        wanted = self._unread
        readings = (await self._node.read({tip.hash: wanted})).get(tip.hash, Readings())
        self._note_unreadable(readings.unreadable)
        facts = self._changed(readings.values, tip.ref, cause)
        if facts:
            await self._ledger.commit(facts, tip)
        self._metrics.drifted(sum(fact.cause == "sync" for fact in facts))
        self._unread = self._unread - wanted

    async def _refresh(self, holding: Holding) -> tuple[int, BlockRef]:
        if not self._began or self._halted is not None:
            raise Impossible(f"chain {self._name} is not followed just now: {self._error or 'it is starting'}")
        await self._follow(await self._node.newest())
        tip = self._known.tip
        if tip is None:
            raise BadAnswer("no block is known yet")
        readings = (await self._node.read({tip.hash: (holding,)})).get(tip.hash, Readings())
        if holding not in readings.values:
            raise Impossible(readings.unreadable.get(holding, "the node gave no balance"), field="token")
        facts = self._changed(readings.values, tip.ref, "refresh")
        if facts:
            await self._ledger.commit(facts, tip)
        return readings.values[holding], tip.ref

    def _changed(self, values: Mapping[Holding, int], block: BlockRef, cause: Cause) -> tuple[BalanceUpdated, ...]:
        return changes(self._chain_id, block, self._ledger.balances, values, (), self._infos, cause)

    def _note_unreadable(self, unreadable: Mapping[Holding, str]) -> None:
        """Told once per token: absent is not zero."""
        for token in {holding.token for holding in unreadable} - {holding.token for holding in self._unreadable}:
            why = next(why for holding, why in unreadable.items() if holding.token == token)
            log.warning("token_unreadable", chain=self._name, token=token, reason=why)
        self._unreadable = {**self._unreadable, **unreadable}

    # --- reorgs ------------------------------------------------------------------------------------------------------

    async def _repair(self) -> None:
        """Roll back to the common ancestor; the new branch is then merely missed."""
        tip = self._known.tip
        newest = await self._node.newest()
        if tip is None:
            return
        ancestor, contradicted = await self._find_ancestor(tip, newest)
        if ancestor is not None and contradicted:
            await self._roll_back(ancestor, tip)
        elif ancestor is None and self._ledger.balances:
            await self._resync("a reorg deeper than the window")
        elif ancestor is None:
            self._known = HeadChain(self._known.depth)
            await self._index((newest,))
        tip = self._known.tip
        if tip is not None and newest.number > tip.number and not await self._catch_up(tip.number + 1, newest.number):
            raise BadAnswer("the node contradicts itself about its newest blocks")

    async def _find_ancestor(self, tip: Head, newest: Head) -> tuple[Head | None, bool]:
        """The common ancestor, and whether the node contradicts us at all.

        A node that is merely behind agrees with us at its own newest block: that is no reorg.
        """
        top, oldest = min(tip.number, newest.number), self._known.heads[0].number
        last, span = top, 8
        while last >= oldest:
            first = max(oldest, last - span + 1)
            canonical = await self._node.headers(first, last)
            ancestor = common_ancestor(self._known, canonical)
            if ancestor is not None:
                below = next((head for head in reversed(self._known.heads) if head.number <= top), None)
                return ancestor, ancestor != below
            last, span = first - 1, span * 4
        return None, True

    async def _roll_back(self, ancestor: Head, tip: Head) -> None:
        orphaned = self._ledger.above(ancestor.number)
        if orphaned:
            holdings = affected(orphaned)
            readings = (await self._node.read({ancestor.hash: holdings})).get(ancestor.hash, Readings())
            missing = holdings - readings.values.keys()
            if missing:
                raise StateMissing(f"{len(missing)} balances cannot be read at block {ancestor.number}")
            facts = reverts(orphaned, self._ledger.balances, readings.values, ancestor.ref)
            await self._ledger.commit(facts, ancestor)
        self._known = self._known.cut(ancestor.hash)
        self._metrics.reorged(tip.number - ancestor.number)
        log.info("chain_reorged", chain=self._name, ancestor=ancestor.number, depth=tip.number - ancestor.number)

    async def _resync(self, reason: str) -> None:
        """The blocks in between cannot be followed one by one: read everything at the newest, and say so."""
        newest = await self._node.newest()
        readings = (await self._node.read({newest.hash: self._watch.holdings()})).get(newest.hash, Readings())
        facts = self._changed(readings.values, newest.ref, "resync")
        log.warning("chain_resync", chain=self._name, block=newest.number, reason=reason)
        await self._ledger.commit((StreamResync(self._chain_id, reason, newest.number), *facts), newest)
        self._known = HeadChain(self._known.depth, (newest,))

    # --- trouble -----------------------------------------------------------------------------------------------------

    async def _in_trouble(self, error: Transient) -> None:
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
        pause = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 10))
        self._retry(pause * (0.5 + self._jitter() / 2))

    def _suspend(self, error: WrongChain) -> None:
        if self._halted is None and self._error != str(error):
            log.error("chain_suspended", chain=self._name, reason=str(error))
        self._halted, self._error = "suspended", str(error)
        self._retry(WRONG_CHAIN_SECONDS)

    async def _step_down(self, error: Fenced) -> None:
        """Another process writes this stream: it goes on, we don't, and nobody restarts us."""
        self._halted, self._error = "stopped", str(error)
        log.error("chain_stepped_down", chain=self._name, reason=str(error))

    async def _well(self) -> None:
        if self._told_trouble and self._began:
            self._told_trouble = False
            log.info("chain_well", chain=self._name)
        if self._halted is None:
            self._trouble_since, self._error, self._failures = None, None, 0
        if self._told_stale and self._lost is None and self._known.tip is not None:
            self._told_stale = False
            fact = StreamLive(self._chain_id, "heads arrive again", self._known.tip.number)
            await self._ledger.commit((fact,), self._known.tip)

    async def _tell_stale(self, reason: str) -> None:
        if self._told_stale or self._known.tip is None:
            return
        self._told_stale = True
        fact = StreamStale(self._chain_id, reason, self._known.tip.number)
        await self._ledger.commit((fact,), self._known.tip)

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
            await self._ledger.save(self._known)

    # --- showing -----------------------------------------------------------------------------------------------------

    def _state(self) -> StreamState:
        if self._halted is not None:
            return self._halted
        if not self._began or self._known.tip is None:
            return "starting"
        lasting = self._trouble_since is not None and self._loop.time() - self._trouble_since > STALE_SECONDS
        if self._lost is not None or lasting:
            return "stale"
        if self._unread or self._is_far_behind():
            return "catching_up"
        return "live"

    def _show_status(self) -> None:
        tip, state = self._known.tip, self._state()
        self._show(
            StreamStatus(
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
        )
