"""Follows one chain through a node: from a head to commits. No inbox, no timers, no listening."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

import structlog

from actors.ledger import Ledger
from actors.natives import Span, search
from actors.repair import Agreed, Parted, Strangers, TooLow, canonical_floor, compare, is_canonical, retractions
from indexer.domain.balances import BalanceUpdated, Cause, Watch, changes, touched
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, ChainIdentity, Head, Holding, TokenInfo, Transfer
from indexer.domain.facts import Confirmed, StreamResync
from indexer.domain.finality import Tags
from indexer.domain.headchain import Extended, HeadChain, Known, Missed, Reorged, advance, is_linked
from indexer.domain.views import BlockView, Readings
from indexer.errors import BadAnswer, Impossible, StateMissing
from indexer.metrics import ChainMetrics

log = structlog.get_logger(__name__)

CATCH_UP_BLOCKS = 32
"""Blocks looked at in one round trip when some were missed; with 1,000 wallets an answer of about 2 MB."""


class Node(Protocol):
    """Answers questions about blocks; every balance is read at exactly the block asked for."""

    @property
    def endpoint(self) -> str: ...

    async def identity(self) -> ChainIdentity: ...

    async def newest(self) -> Head: ...

    async def headers(self, first: int, last: int) -> tuple[Head, ...]: ...

    async def look(self, heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]: ...

    async def read(self, wanted: Mapping[BlockHash, Collection[Holding]]) -> dict[BlockHash, Readings]: ...

    async def tags(self) -> Tags: ...


class Tokens(Protocol):
    """What tokens say of themselves, asked once."""

    async def describe(self, chain_id: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]: ...


class Follower:
    """The blocks that were handled (`known`), what is watched, and what is still to be read (`unread`)."""

    def __init__(
        self,
        *,
        name: str,
        chain_id: int,
        node: Node,
        ledger: Ledger,
        tokens: Tokens,
        claim: Callable[[ChainIdentity], Awaitable[None]],
        watch: Watch,
        window: int,
        native_interval: int,
        metrics: ChainMetrics,
        was_read: Callable[[frozenset[Holding]], None] = lambda _holdings: None,
    ) -> None:
        self.known = HeadChain(window)
        self.watch = watch
        self.unread = watch.holdings()
        self.unreadable: Mapping[Holding, str] = {}
        self._name = name
        self._chain_id = chain_id
        self._node = node
        self._ledger = ledger
        self._tokens = tokens
        self._claim = claim
        self._native_interval = native_interval
        self._natives_at = 0
        self._read_at: dict[Holding, int] = {}
        self._metrics = metrics
        self._was_read = was_read
        self._infos: Mapping[str, TokenInfo] = {}
        self._clock = time.perf_counter  # the loop's own clock stands still within a turn

    @property
    def tip(self) -> Head | None:
        return self.known.tip

    async def load(self) -> None:
        """Go on where the log ends; everything watched is read again once we have caught up."""
        self.known = await self._ledger.load(self.watch)
        self._natives_at = self.known.heads[-1].number if self.known.heads else 0

    async def describe(self) -> None:
        self._infos = await self._tokens.describe(self._chain_id, self.watch.tokens)

    async def rewatch(self, watch: Watch) -> None:
        """What is new is due to be read, even where an older balance of it is stored."""
        added = watch.holdings() - self.watch.holdings()
        self._ledger.rewatch(self.watch, watch)
        self.watch = watch
        self.unread = (self.unread | added) & watch.holdings()
        self.unreadable = {key: why for key, why in self.unreadable.items() if watch.covers(key)}
        await self.describe()

    # --- deciding ----------------------------------------------------------------------------------------------------

    async def follow(self, head: Head) -> bool:
        """Handle this head, or the first part of what was missed up to it; whether there is more."""
        match advance(self.known, head):
            case Known():
                return False
            case Extended():
                await self._index((head,))
                return False
            case Missed(first, last):
                more = await self._catch_up(first, last)
                return await self._repair() if more is None else more
            case Reorged():
                return await self._repair()

    async def _catch_up(self, first: int, last: int) -> bool | None:
        """Index the first part of what was missed; nothing when it does not sit on our tip."""
        end = min(last, first + CATCH_UP_BLOCKS - 1)
        heads = await self._node.headers(first, end)
        if not heads or heads[0].number != first or not is_linked(None, heads):
            raise BadAnswer(f"headers {first} to {end} are not one chain")
        if not is_linked(self.tip, heads[:1]):
            return None
        self._metrics.gap(len(heads))
        try:
            await self._index(heads)
        except StateMissing as error:
            await self._resync(f"blocks {first} to {end} cannot be read any more: {error}")
        return end < last

    async def _repair(self) -> bool:
        """Roll back to the common ancestor; the new branch is then merely missed."""
        newest = await self._node.newest()
        match await compare(self._node, self.known, newest):
            case Parted(ancestor):
                await self._roll_back(ancestor)
            case TooLow():
                await self._recognize()
                return False
            case Strangers():
                await self._recognize()
                await self._start_over(newest)
            case Agreed():
                pass
        tip = self.tip
        if tip is None or newest.number <= tip.number:
            return False
        more = await self._catch_up(tip.number + 1, newest.number)
        if more is None:
            raise BadAnswer("the node contradicts itself about its newest blocks")
        return more

    async def _recognize(self) -> None:
        """A node where nothing is as we know it may follow another chain under the same id: that is no reorg."""
        await self._claim(await self._node.identity())

    async def _start_over(self, newest: Head) -> None:
        """Everything we remember is orphaned, and perhaps more."""
        if self._ledger.balances:
            await self._resync("a reorg deeper than the window", orphaned=self.known.heads[0].number)
        else:
            self.known = HeadChain(self.known.depth, (newest,))

    async def _roll_back(self, ancestor: Head) -> None:
        depth = self.known.heads[-1].number - ancestor.number
        orphaned = self._ledger.above(ancestor.number)
        try:
            facts = await retractions(self._node, orphaned, self._ledger.balances, ancestor)
        except StateMissing as error:
            await self._resync(
                f"a reorg to a block that cannot be read any more: {error}", orphaned=ancestor.number + 1
            )
            return
        known = self.known.cut(ancestor.hash)
        await self._ledger.roll_back(known, facts)
        self.known = known
        self._natives_at = min(self._natives_at, ancestor.number)
        self._read_at = {key: min(number, ancestor.number) for key, number in self._read_at.items()}
        self._metrics.reorged(depth)
        log.info("chain_reorged", chain=self._name, ancestor=ancestor.number, depth=depth, reverted=len(facts))

    async def _resync(self, reason: str, orphaned: int | None = None) -> None:
        """The blocks in between cannot be followed one by one: read everything at the newest, and say so.

        With `orphaned`, a block number from which on records are of another branch: history is cut where it is still
        canonical, and what did not change is confirmed at the newest block.
        """
        newest = await self._node.newest()
        readings = (await self._node.read({newest.hash: self.watch.holdings()})).get(newest.hash, Readings())
        self._note_unreadable(readings.unreadable)
        above = None
        if orphaned is not None:
            above = await canonical_floor(self._node, self._ledger, orphaned)
            if not await is_canonical(self._node, newest.ref):
                raise BadAnswer("the chain was reorganised again while the last canonical record was looked for")
        self._ledger.trails.lose(readings.values)  # whatever moved in the blocks in between
        facts = self._changed(readings.values, newest.ref, (), "resync")
        log.warning("chain_resync", chain=self._name, block=newest.number, reason=reason)
        differing = {fact.holding for fact in facts}
        confirmed = tuple(
            Confirmed(holding, value, self._infos.get(holding.token, TokenInfo()))
            for holding, value in sorted(readings.values.items())
            if above is not None and holding not in differing
        )
        if above is not None:
            self._ledger.settling.roll_back(above)
        resync = StreamResync(self._chain_id, reason, newest.ref, above, confirmed)
        await self._ledger.commit((resync, *facts), newest)
        self.known = HeadChain(self.known.depth, (newest,))
        self._natives_read(newest)

    # --- acting ------------------------------------------------------------------------------------------------------

    async def _index(self, heads: Sequence[Head]) -> None:
        """Look at these blocks and commit what each of them changed, in order."""
        if self.tip is None:
            self.known = self.known.extend(heads[-1])
            return
        started = self._clock()
        views = await self._look(heads)
        looked = self._clock()
        self._metrics.stage("logs", looked - started)
        surprises = await self._read_surprises(views)
        self._metrics.stage("reads", self._clock() - looked)
        for view in views:
            await self._close(view, surprises.get(view.head.hash, Readings()))
        await self._ledger.follow(self.known)

    async def _look(self, heads: Sequence[Head]) -> tuple[BlockView, ...]:
        """With an interval, native balances are read at the last of many blocks only, and only when they are due."""
        if self._native_interval == 1:
            return await self._node.look(heads, self.watch)
        due = heads[-1].number - self._natives_at >= self._native_interval
        earlier = await self._node.look(heads[:-1], self.watch, natives=False) if len(heads) > 1 else ()
        return (*earlier, *await self._node.look(heads[-1:], self.watch, natives=due))

    async def _read_surprises(self, views: Sequence[BlockView]) -> dict[BlockHash, Readings]:
        """The holdings that the logs name and nobody hinted at."""
        wanted = {
            view.head.hash: surprising
            for view in views
            if (surprising := touched(view.transfers, self.watch) - view.readings.values.keys())
        }
        return await self._node.read(wanted) if wanted else {}

    async def _close(self, view: BlockView, more: Readings) -> None:
        head = view.head
        self._note_unreadable({**view.readings.unreadable, **more.unreadable})
        facts = await self._facts({**view.readings.values, **more.values}, head, view.transfers)
        if view.transfers:
            self._ledger.note(view.transfers, {fact.holding for fact in facts})
        if facts:
            await self._ledger.commit(facts, head)
        self.known = self.known.extend(head)
        if any(holding.token == NATIVE for holding in view.readings.values):
            self._natives_read(head)
        self._metrics.block_done()

    async def read_unread(self) -> None:
        """Read what was never read, or must be read again, at our own tip; what differs is recorded there."""
        tip = self.tip
        if tip is None or not self.unread:
            return
        wanted = self.unread
        readings = (await self._node.read({tip.hash: wanted})).get(tip.hash, Readings())
        self._note_unreadable(readings.unreadable)
        facts = await self._facts(readings.values, tip, (), "sync")
        if facts:
            await self._ledger.commit(facts, tip)
        self._metrics.drifted(sum(fact.cause == "sync" for fact in facts))
        self.unread = self.unread - wanted
        self._was_read(wanted)

    async def refresh(self, holding: Holding) -> tuple[int, BlockRef]:
        """Read one balance at the tip, now."""
        tip = self.tip
        if tip is None:
            raise BadAnswer("no block is known yet")
        readings = (await self._node.read({tip.hash: (holding,)})).get(tip.hash, Readings())
        if holding not in readings.values:
            raise Impossible(readings.unreadable.get(holding, "the node gave no balance"), field="token")
        facts = await self._facts(readings.values, tip, (), "refresh")
        if facts:
            await self._ledger.commit(facts, tip)
        return readings.values[holding], tip.ref

    async def _facts(
        self, values: Mapping[Holding, int], head: Head, transfers: Sequence[Transfer], cause: Cause | None = None
    ) -> tuple[BalanceUpdated, ...]:
        """Every change at `head`; before them, in their own blocks, those of natives that were not read since."""
        late = self._late_natives(values, head)
        if not late:
            return self._changed(values, head.ref, transfers, cause)
        try:
            steps = await search(self._node, (*self.known.heads, head), late)
        except StateMissing as error:
            log.warning("native_search_failed", chain=self._name, block=head.number, reason=str(error))
            return self._changed(values, head.ref, transfers, cause)
        found = {span.holding for span in late}
        others = {holding: value for holding, value in values.items() if holding not in found}
        native = [
            update
            for step in steps
            for update in changes(
                self._chain_id,
                step.head.ref,
                {step.holding: step.before},
                {step.holding: step.balance},
                (),
                self._infos,
            )
        ]
        return (*native, *self._changed(others, head.ref, transfers, cause))

    def _late_natives(self, values: Mapping[Holding, int], head: Head) -> list[Span]:
        if self._native_interval == 1:
            return []
        balances = self._ledger.balances
        spans = []
        for holding, value in values.items():
            if holding.token != NATIVE:
                continue
            low = self._read_at.get(holding, self._natives_at)
            before = balances.get(holding)
            if before is not None and before != value and low < head.number - 1:
                spans.append(Span(holding, low, before, head.number, value))
            self._read_at[holding] = head.number
        return spans

    def _natives_read(self, head: Head) -> None:
        self._natives_at = head.number
        self._read_at.clear()

    def _changed(
        self, values: Mapping[Holding, int], block: BlockRef, transfers: Sequence[Transfer], cause: Cause | None
    ) -> tuple[BalanceUpdated, ...]:
        ledger = self._ledger
        return changes(
            self._chain_id, block, ledger.balances, values, transfers, self._infos, cause, ledger.trails.logs
        )

    def _note_unreadable(self, unreadable: Mapping[Holding, str]) -> None:
        """Told once per token: absent is not zero."""
        if not unreadable:
            return
        for token in {holding.token for holding in unreadable} - {holding.token for holding in self.unreadable}:
            why = next(why for holding, why in unreadable.items() if holding.token == token)
            log.warning("token_unreadable", chain=self._name, token=token, reason=why)
        self.unreadable = {**self.unreadable, **unreadable}
