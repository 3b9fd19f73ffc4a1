"""A node of the simulated world, as the chain's actor sees it: late, lagging, failing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random

from indexer.domain.balances import Watch, touched
from indexer.domain.chain import (
    NATIVE,
    Address,
    BlockHash,
    BlockRef,
    ChainIdentity,
    Head,
    Holding,
    KnownBlock,
    TokenInfo,
)
from indexer.domain.following.feed import FeedEvent, HeadHeard, HeadsBack, HeadsLost
from indexer.domain.following.finality import Tags
from indexer.domain.following.views import BlockView, Parting, Readings, Replacement
from indexer.domain.health.status import EndpointTrouble
from indexer.domain.history.backfill import Moved
from indexer.errors import BadAnswer, BlockUnknown, NodeUnreachable, ResponseTooLarge, StateMissing, Throttled
from tests.sim.faults import Faults
from tests.sim.world import CHAIN_ID, Block, World


class SimNode:
    """Answers from the canonical chain at the time of the question, or a few blocks behind it."""

    endpoint = "sim"

    def __init__(self, world: World, random: Random, faults: Callable[[], Faults]) -> None:
        self._world = world
        self._random = random
        self._faults = faults
        self.questions = 0
        self.tags_asked = 0
        self.tag_lags: tuple[int, int] | None = (6, 12)
        self.chain_id = CHAIN_ID
        self.error: Exception | None = None
        self.outage: str | None = None
        self.troubles: tuple[EndpointTrouble, ...] = ()
        self.voices: dict[str, ChainIdentity] = {}
        """What several endpoints say of themselves; nothing where there is one."""
        self.expected: BlockHash | None = None
        self.distrusted: list[str] = []
        self.unreadable: dict[str, str] = {}
        self.pruned_below = 0
        self.state_of: int | None = None
        """How many of the newest blocks it keeps the state of; nothing for an archive."""
        self.range_limit = 10_000
        self.shown_below: int | None = None
        self.genesis: BlockHash | None = None
        """Of a stranger that is preferred; nothing while there is none."""

    async def identity(self) -> ChainIdentity:
        await self._wire()
        return ChainIdentity(self.chain_id, self.genesis or self._world.genesis)

    async def identities(self) -> dict[str, ChainIdentity]:
        return self.voices or {self.endpoint: await self.identity()}

    def expect(self, genesis: BlockHash) -> None:
        """Where another endpoint is ours, the stranger is left for it."""
        self.expected = genesis
        if genesis == self._world.genesis:
            self.genesis = None

    async def newest(self) -> Head:
        await self._wire()
        return self._chain()[-1].head

    async def headers(self, first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]:
        await self._wire()
        chain = self._chain()
        _require(beside, chain)
        if last >= len(chain):
            raise BlockUnknown(f"there is no block {last}")
        return tuple(block.head for block in chain[first : last + 1])

    async def missed(self, first: int, last: int, _watch: Watch) -> tuple[Head, ...]:
        return await self.headers(first, last)

    async def moved(self, first: int, last: int, watch: Watch, beside: BlockRef | None = None) -> tuple[Moved, ...]:
        """A range of blocks, as long as it is not too wide for this provider."""
        await self._wire()
        chain = self._chain()
        _require(beside, chain)
        if last - first >= self.range_limit:
            raise ResponseTooLarge("query exceeds the range")
        if last >= len(chain):
            raise BlockUnknown(f"there is no block {last}")
        return tuple(
            Moved(block.head.ref, transfer)
            for block in chain[first : last + 1]
            for transfer in block.transfers
            if touched((transfer,), watch)
        )

    @property
    def has_others(self) -> bool:
        """There is one endpoint."""
        return False

    async def left_out(
        self, first: int, last: int, watch: Watch, beside: BlockRef | None, told: Collection[Moved]
    ) -> tuple[Moved, ...]:
        """Asked again, it says all."""
        return tuple(each for each in await SimNode.moved(self, first, last, watch, beside) if each not in told)

    async def describe(
        self, known: Mapping[Address, TokenInfo], _block: BlockHash, *, can_wait: bool = False
    ) -> dict[Address, TokenInfo]:
        del can_wait
        await self._wire()
        return dict.fromkeys(known, TokenInfo(6, "SIM", "Simulated"))

    async def probe(self, token: Address, block: BlockHash) -> TokenInfo:
        return (await self.describe({token: TokenInfo()}, block))[token]

    async def close(self) -> None:
        """There is nothing to close."""

    async def tags(self, beside: Head | None = None) -> Tags:
        """A few blocks behind its own head; or, in some stories, nothing: then depth is what counts."""
        self.questions -= 1
        self.tags_asked += 1
        await self._wire()
        chain = self._chain()
        lags = self.tag_lags
        if lags is None:
            return Tags(None, None)
        safe, finalized = (chain[max(0, len(chain) - 1 - lag)].head for lag in lags)
        here = chain[beside.number].head if beside is not None and beside.number < len(chain) else None
        return Tags(safe, finalized, here)

    async def is_disputed(self, _tip: Head) -> bool:
        """There is one endpoint."""
        return False

    def distrust(self, reason: str) -> None:
        self.distrusted.append(reason)

    async def look(self, heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]:
        await self._wire()
        views = []
        for head in heads:
            block = self._block(head.hash)
            wanted = watch.natives() if natives else frozenset[Holding]()
            ours = tuple(one for one in block.transfers if touched((one,), watch))
            views.append(BlockView(head, ours, self._read(block, wanted)))
        return tuple(views)

    async def replacement(
        self, ancestor: Head, head: Head, watch: Watch, moved: Collection[Holding], *, natives: bool = True
    ) -> Replacement:
        """As three questions in one."""
        ours = {holding for holding in moved if holding.token != NATIVE and watch.covers(holding)}
        found = await self.read({head: ours})
        (view,) = await self.look((head,), watch, natives=natives)
        here = found[head.hash]
        both = Readings({**view.readings.values, **here.values}, {**view.readings.unreadable, **here.unreadable})
        return Replacement(BlockView(head, view.transfers, both), await self.headers(ancestor.number, head.number))

    async def parting(self, ancestor: Head, head: Head, moved: Collection[Holding]) -> Parting:
        before = (await self.read({ancestor: moved}))[ancestor.hash]
        return Parting(before, await self.headers(ancestor.number, head.number))

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
        await self._wire()
        return {block.hash: self._read(self._block(block.hash), holdings) for block, holdings in wanted.items()}

    def _read(self, block: Block, holdings: Collection[Holding]) -> Readings:
        kept = 0 if self.state_of is None else len(self._world.canonical) - self.state_of
        if block.head.number < max(self.pruned_below, kept) and holdings:
            raise StateMissing(f"the state of block {block.head.number} is pruned")
        bad = {key: self.unreadable[key.token] for key in holdings if key.token in self.unreadable}
        return Readings({key: block.balances.get(key, 0) for key in holdings if key not in bad}, bad)

    def _chain(self) -> list[Block]:
        canonical = self._world.canonical[: self.shown_below]
        if len(canonical) > 8 and self._random.random() < self._faults().lagging:
            return canonical[: -self._random.randint(1, 5)]
        return canonical

    def _block(self, wanted: BlockHash) -> Block:
        """Like anvil and load-balanced providers: an orphaned block is not known any more."""
        if not self._world.is_canonical(wanted):
            raise BlockUnknown(wanted)
        return self._world.blocks[wanted]

    async def _wire(self) -> None:
        self.questions += 1
        if self.error is not None:
            raise self.error
        faults, draw = self._faults(), self._random.random
        await asyncio.sleep(self._random.choice((0.001, 0.01, 0.5)) if draw() < faults.slow else 0.001)
        if draw() < faults.unreachable:
            raise NodeUnreachable("no endpoint answers")
        if draw() < faults.throttled:
            raise Throttled("slow down", 0.2)
        if draw() < faults.bad_answer:
            raise BadAnswer("half an answer")


class SimFeed:
    """Announces heads, and now and then forgets, repeats or delays one, or goes deaf for a while."""

    def __init__(self, world: World, random: Random, faults: Callable[[], Faults]) -> None:
        self._world = world
        self._random = random
        self._faults = faults
        self.listeners: set[Callable[[FeedEvent], None]] = set()
        self._deaf_until = 0.0

    def watch(self, watch: Watch) -> None:
        """Hints are not simulated here: the block hash is the truth."""

    async def run(self, on_event: Callable[[FeedEvent], None]) -> None:
        self.listeners.add(on_event)
        try:
            on_event(HeadHeard(self._world.tip, "ws"))
            await asyncio.get_running_loop().create_future()
        finally:
            self.listeners.discard(on_event)

    def announce(self, head: Head, *, surely: bool = False) -> None:
        loop, faults, draw = asyncio.get_running_loop(), self._faults(), self._random.random
        if surely:
            self._tell(HeadHeard(head, "ws"))
            return
        if loop.time() < self._deaf_until or draw() < faults.skipped_head:
            return
        if draw() < faults.lost_feed:
            self._deaf_until = loop.time() + 5
            self._tell(HeadsLost("the socket is silent and nobody answers"))
            loop.call_later(5, self._tell, HeadsBack("ws"))
            return
        if draw() < faults.late_head:
            loop.call_later(self._random.uniform(0.1, 3), self._tell, HeadHeard(head, "ws"))
        else:
            self._tell(HeadHeard(head, "ws"))
        if draw() < faults.repeated_head:
            self._tell(HeadHeard(head, "ws"))

    def _tell(self, event: FeedEvent) -> None:
        for listener in tuple(self.listeners):
            listener(event)


def _require(beside: BlockRef | None, chain: Sequence[Block]) -> None:
    if beside is not None and (beside.number >= len(chain) or chain[beside.number].head.hash != beside.hash):
        raise BadAnswer(f"has another block {beside.number}")
