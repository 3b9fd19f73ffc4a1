"""A chain as its node tells it, every balance pinned to a block's hash."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from indexer.clients.evm.asking.answers import head_of
from indexer.clients.evm.asking.calls import Call, Plan, Reply
from indexer.clients.evm.endpoints.counts import Counts
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.hearing.socket import Ours
from indexer.clients.evm.judging.census import Finding, highest
from indexer.clients.evm.judging.finality import tags
from indexer.clients.evm.judging.identities import identities, identity
from indexer.clients.evm.judging.opinions import canonical, is_disputed, newest
from indexer.clients.evm.judging.rhythm import Expected
from indexer.clients.evm.reading.tokens import Described
from indexer.clients.evm.transfers.hints import Hints
from indexer.clients.evm.transfers.history import History
from indexer.clients.evm.transfers.missed import Missed
from indexer.clients.evm.views import Viewer, hedge_seconds
from indexer.domain.balances import Watch
from indexer.domain.chain import (
    Address,
    BlockHash,
    BlockRef,
    ChainIdentity,
    Head,
    Holding,
    KnownBlock,
    TokenInfo,
)
from indexer.domain.following.finality import Tags
from indexer.domain.following.views import BlockView, Parting, Readings, Replacement
from indexer.domain.health.status import EndpointTrouble
from indexer.domain.history.backfill import Moved
from indexer.errors import BadAnswer, BlockUnknown, Unheard

_DISTRUST_SECONDS: Final = 10.0


class EvmNode:
    """Answers questions about one chain, from whichever of its endpoints can."""

    def __init__(self, endpoints: Endpoints, *, counts: Counts, hints: Hints) -> None:
        self.counts = counts
        self._endpoints = endpoints
        self._viewer = Viewer(endpoints, hints)
        self._missed = Missed(endpoints, hints)
        self._history = History(endpoints)
        self._described = Described(endpoints)

    @property
    def endpoint(self) -> str:
        """The name of the endpoint in use; safe to show."""
        return self._endpoints.name

    @property
    def ours(self) -> Ours:
        """Which chain every endpoint and websocket has to follow, once that is known."""
        return Ours(self._endpoints.chain_id, self._endpoints.genesis)

    @property
    def outage(self) -> str | None:
        """Why no endpoint can be asked; nothing while one of them is well."""
        return self._endpoints.outage

    @property
    def is_asked_to_wait(self) -> bool:
        """Whether each of the endpoints answered that it may not be asked for some time."""
        return self._endpoints.is_asked_to_wait

    @property
    def followed(self) -> int:
        """The highest block that an endpoint answered questions about."""
        return self._endpoints.health.followed

    @property
    def troubles(self) -> tuple[EndpointTrouble, ...]:
        """The endpoints that are not well, and why."""
        return self._endpoints.troubles

    async def identity(self) -> ChainIdentity:
        """As the node says; from then on, endpoints that follow another chain are not asked."""
        return await identity(self._endpoints)

    async def identities(self) -> dict[str, ChainIdentity]:
        """As every endpoint says that answers soon, in order of preference."""
        return await identities(self._endpoints)

    def expect(self, genesis: BlockHash) -> None:
        """From now on, endpoints whose chain begins with another block are not asked either."""
        self._endpoints.expect(genesis)

    async def newest(self) -> Head:
        """The newest block; one far below what we followed only when every endpoint says so."""
        return await newest(self._endpoints)

    @property
    def has_others(self) -> bool:
        """Whether somebody else than one provider may be asked."""
        return len(self._endpoints) > 1 and bool(self._endpoints.able)

    async def highest(self, known: Head | None, expected: Expected, *, is_still: bool) -> Finding:
        """The newest block of all endpoints that go on from `known`; those far or long behind it are set aside."""
        return await highest(self._endpoints, known, expected, is_still=is_still)

    async def header(self, block: BlockHash) -> Head | None:
        """Nothing when no endpoint has it: they lag, or it was orphaned and forgotten."""

        def read(replies: Sequence[Reply]) -> Head:
            head = head_of(replies[0].get())
            if head.hash != block:
                raise BadAnswer("another block than the one asked for")
            return head

        try:
            return await self._endpoints.ask(lambda _: Plan([Call("eth_getBlockByHash", [block, False])], read))
        except Unheard:
            raise
        except BlockUnknown:
            return None

    async def headers(self, first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]:
        """The canonical headers `first` to `last`, both included, as one endpoint sees them: each on top of another.

        With `beside`, an endpoint that has this block as well.
        """
        return await canonical(self._endpoints, first, last, hedge_seconds(last - first), beside)

    async def missed(self, first: int, last: int, watch: Watch) -> tuple[Head, ...]:
        """The same for blocks that are looked at next; what their logs hint at is read together with the rest then."""
        return await self._missed.headers(first, last, self._viewer.filters(watch), hedge_seconds(last - first))

    async def is_disputed(self, tip: Head) -> bool:
        """Whether another endpoint still has a block of ours that one of them has just denied."""
        return await is_disputed(self._endpoints, tip)

    def distrust(self, reason: str) -> None:
        """Whoever answered last contradicts itself: another one is asked for a while, where another is well."""
        self._endpoints.set_aside(self._endpoints.name, BadAnswer(reason), _DISTRUST_SECONDS)

    async def tags(self, beside: Head | None = None) -> Tags:
        """Its safe and finalized blocks, in one request; nothing where it has no such tag, or has not got there yet.

        And then its block at the height of `beside`, since what is final once lies below all that it has later.
        """
        return await tags(self._endpoints, beside)

    async def look(self, heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]:
        """Each block's watched transfers, native balances, and the token balances that were hinted at."""
        return await self._viewer.look(heads, watch, natives=natives)

    async def replacement(
        self, ancestor: Head, head: Head, watch: Watch, moved: Collection[Holding], *, natives: bool = True
    ) -> Replacement:
        """`head` as `look` shows it, the `moved` balances there, and both headers: one request."""
        return await self._viewer.replacement(ancestor, head, watch, moved, natives=natives)

    async def parting(self, ancestor: Head, head: Head, moved: Collection[Holding]) -> Parting:
        """The `moved` balances at `ancestor`, and both headers."""
        return await self._viewer.parting(ancestor, head, moved)

    async def moved(self, first: int, last: int, watch: Watch, beside: BlockRef | None = None) -> tuple[Moved, ...]:
        """The watched transfers of these blocks, in order; `ResponseTooLarge` asks for fewer blocks.

        With `beside`, as an endpoint tells them that has this block as well.
        """
        return await self._history.moved(first, last, watch, beside)

    async def left_out(
        self, first: int, last: int, watch: Watch, beside: BlockRef | None, told: Collection[Moved]
    ) -> tuple[Moved, ...]:
        """What `moved` should have said of these blocks beside what it `told`, asked elsewhere if possible."""
        return await self._history.left_out(first, last, watch, beside, told)

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
        """Balances at exactly these blocks; what a contract refuses to tell is named, never zero."""
        return await self._viewer.read(wanted)

    async def describe(
        self, known: Mapping[Address, TokenInfo], block: BlockHash, *, can_wait: bool = False
    ) -> dict[Address, TokenInfo]:
        """What these tokens say of themselves at this block; where that is nothing, what was `known` of them."""
        return await self._described.describe(known, block, can_wait=can_wait)

    async def probe(self, token: Address, block: BlockHash) -> TokenInfo:
        """The same of one that need not be a token: `NotAToken` with the reason."""
        return await self._described.probe(token, block)

    async def close(self) -> None:
        await self._endpoints.close()
