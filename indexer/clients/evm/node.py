"""A chain as its node tells it, every balance pinned to a block's hash."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from indexer.clients.evm.asking.answers import head_of
from indexer.clients.evm.asking.calls import Call, Limits, Plan, Reply, joined
from indexer.clients.evm.endpoints.counts import Counts
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.hearing.socket import Ours
from indexer.clients.evm.judging.census import Finding, highest
from indexer.clients.evm.judging.finality import tags
from indexer.clients.evm.judging.identities import identities, identity
from indexer.clients.evm.judging.opinions import canonical, header_of, is_disputed, newest
from indexer.clients.evm.judging.rhythm import Expected
from indexer.clients.evm.reading.forgotten import Forgotten, MakeAt, few, few_readings
from indexer.clients.evm.reading.readings import Natives, readings
from indexer.clients.evm.reading.tokens import Described
from indexer.clients.evm.reading.unreadable import Unreadable
from indexer.clients.evm.transfers.hints import Hints
from indexer.clients.evm.transfers.history import History
from indexer.clients.evm.transfers.leftout import Asked, Block, completed
from indexer.clients.evm.transfers.looking import Looked, looking_at
from indexer.clients.evm.transfers.missed import Missed
from indexer.domain.balances import Watch
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
from indexer.domain.following.finality import Tags
from indexer.domain.following.views import BlockView, Parting, Readings, Replacement
from indexer.domain.health.status import EndpointTrouble
from indexer.domain.history.backfill import Moved
from indexer.errors import BadAnswer, BlockUnknown, Unheard

_FEW_HEADS: Final = 4
_FEW_HOLDINGS: Final = 2_000
_LARGE_HEDGE_SECONDS: Final = 3.0
"""What asks for much may take its time; it is asked of somebody else only when that is long over."""
_DISTRUST_SECONDS: Final = 10.0
_NOBODY: Final = Natives(())


class EvmNode:
    """Answers questions about one chain, from whichever of its endpoints can."""

    def __init__(self, endpoints: Endpoints, *, counts: Counts, hints: Hints) -> None:
        self.counts = counts
        self._endpoints = endpoints
        self._hints = hints
        self._forgotten = Forgotten(endpoints)
        self._missed = Missed(endpoints, hints)
        self._history = History(endpoints)
        self._unreadable = Unreadable(endpoints)
        self._described = Described(endpoints)
        self._ready: _Ready | None = None

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
        return await canonical(self._endpoints, first, last, _hedge_seconds(last - first), beside)

    async def missed(self, first: int, last: int, watch: Watch) -> tuple[Head, ...]:
        """The same for blocks that are looked at next; what their logs hint at is read together with the rest then."""
        filters = self._prepared(watch).filters
        return await self._missed.headers(first, last, filters, _hedge_seconds(last - first))

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
        if not heads:
            return ()
        ready = self._prepared(watch)
        found = await self._forgotten.ask(
            heads,
            lambda limits: joined([self._block(head, ready, natives, limits) for head in heads]),
            lambda lowest: self._few_of(lowest, ready, natives),
            hedge_seconds=None if len(heads) <= _FEW_HEADS else _LARGE_HEDGE_SECONDS,
        )
        self._followed(heads)
        return tuple(await self._viewed(heads, found, ready))

    async def replacement(
        self, ancestor: Head, head: Head, watch: Watch, moved: Collection[Holding], *, natives: bool = True
    ) -> Replacement:
        """`head` as `look` shows it, the `moved` balances there, and both headers: one request."""
        ready = self._prepared(watch)
        _, tokens = _told_apart(moved)

        def question(limits: Limits) -> Plan[list[Any]]:
            parts: list[Plan[Any]] = [
                self._block(head, ready, natives, limits, tokens),
                _headers_at(ancestor.number, head.number),
            ]
            return joined(parts)

        looked, canonical = await self._endpoints.ask(question)
        (view,) = await self._viewed((head,), (looked,), ready)
        return Replacement(view, tuple(canonical))

    async def parting(self, ancestor: Head, head: Head, moved: Collection[Holding]) -> Parting:
        """The `moved` balances at `ancestor`, and both headers.

        Asked beside the replacement, it takes another connection, and perhaps another node behind it: a second opinion,
        and the node reads at both blocks at once.
        """
        coins, tokens = _told_apart(moved)

        def question(limits: Limits) -> Plan[list[Any]]:
            parts: list[Plan[Any]] = [
                readings(ancestor, coins, tokens, limits),
                _headers_at(ancestor.number, head.number),
            ]
            return joined(parts)

        before, canonical = await self._endpoints.ask(question)
        settled = await self._unreadable.settled({ancestor: before}, self._endpoints.name)
        return Parting(settled[ancestor], tuple(canonical))

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
        split = {block: _told_apart(holdings) for block, holdings in wanted.items() if holdings}
        size = sum(map(len, wanted.values()))
        if not split:
            return {block.hash: Readings() for block in wanted}
        found = await self._forgotten.ask(
            split,
            lambda limits: joined([readings(block, *parts, limits) for block, parts in split.items()]),
            lambda lowest: few_readings(*split[lowest]),
            hedge_seconds=_hedge_seconds(size),
        )
        self._followed(split)
        settled = await self._unreadable.settled(dict(zip(split, found, strict=True)), self._endpoints.name)
        return {block.hash: settled.get(block, Readings()) for block in wanted}

    def _followed(self, blocks: Iterable[KnownBlock]) -> None:
        """Who does not have these lags. After a resync, what was read says so before the next head does."""
        health = self._endpoints.health
        health.followed = max((health.followed, *(block.number for block in blocks)))

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

    def _prepared(self, watch: Watch) -> _Ready:
        if self._ready is None or (self._ready.watch is not watch and self._ready.watch != watch):
            self._ready = _Ready(watch)
        return self._ready

    def _block(
        self, head: Head, ready: _Ready, natives: bool, limits: Limits, more: Collection[Holding] = ()
    ) -> Plan[Looked]:
        hinted = self._hinted(head, ready, more)
        return looking_at(head, ready.filters, ready.natives if natives else _NOBODY, hinted, limits)

    def _few_of(self, lowest: KnownBlock, ready: _Ready, natives: bool) -> MakeAt:
        coins = Natives(few(ready.natives.holdings) if natives else ())
        tokens = few(self._hinted(lowest, ready))
        return lambda head, limits: looking_at(head, ready.filters, coins, tokens, limits)

    def _hinted(self, head: KnownBlock, ready: _Ready, more: Collection[Holding] = ()) -> set[Holding]:
        return {
            holding
            for holding in (*self._hints.of(head.hash), *more)
            if holding.token != NATIVE and ready.watch.covers(holding)
        }

    async def _viewed(self, heads: Sequence[Head], looked: Sequence[Looked], ready: _Ready) -> list[BlockView]:
        """With what was left out, as far as that can be told."""
        teller = self._endpoints.name
        blocks = [Block(head, *part) for head, part in zip(heads, looked, strict=True)]
        blocks = [*await completed(self._endpoints, blocks, ready, self._hints)]
        settled = await self._unreadable.settled({block.head: block.found for block in blocks}, teller)
        return [BlockView(block.head, block.transfers, settled[block.head], block.suspects) for block in blocks]


class _Ready(Asked):
    """A watch with everything encoded that is the same for every block."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.natives = Natives(watch.natives())


def _hedge_seconds(size: int) -> float | None:
    return None if size <= _FEW_HOLDINGS else _LARGE_HEDGE_SECONDS


def _told_apart(holdings: Collection[Holding]) -> tuple[Natives, set[Holding]]:
    """Native balances, and those of tokens."""
    return (
        Natives(holding for holding in set(holdings) if holding.token == NATIVE),
        {holding for holding in holdings if holding.token != NATIVE},
    )


def _headers_at(*numbers: int) -> Plan[list[Head]]:
    return joined([header_of("eth_getBlockByNumber", hex(number)) for number in numbers])
