"""Blocks as a node shows them, and balances at them; each answer is pinned to the hash of its block."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from indexer.clients.evm.asking.calls import Limits, Plan, joined
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.judging.opinions import header_of
from indexer.clients.evm.reading.forgotten import Forgotten, MakeAt, few, few_readings
from indexer.clients.evm.reading.readings import Natives, readings
from indexer.clients.evm.reading.unreadable import Unreadable
from indexer.clients.evm.transfers.hints import Hints
from indexer.clients.evm.transfers.leftout import Asked, Block, completed
from indexer.clients.evm.transfers.logs import Filters
from indexer.clients.evm.transfers.looking import Looked, looking_at
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, BlockHash, Head, Holding, KnownBlock
from indexer.domain.following.views import BlockView, Parting, Readings, Replacement

_FEW_HEADS: Final = 4
_FEW_HOLDINGS: Final = 2_000
_LARGE_HEDGE_SECONDS: Final = 3.0
"""What asks for much may take its time; it is asked of somebody else only when that is long over."""
_NOBODY: Final = Natives(())


class Viewer:
    """Looks at blocks and reads balances, from whichever of the endpoints can tell."""

    def __init__(self, endpoints: Endpoints, hints: Hints) -> None:
        self._endpoints = endpoints
        self.hints = hints
        self._forgotten = Forgotten(endpoints)
        self._unreadable = Unreadable(endpoints)
        self._ready: _Ready | None = None

    def filters(self, watch: Watch) -> Filters:
        """For the logs of who is watched."""
        return self._prepared(watch).filters

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
            hedge_seconds=hedge_seconds(size),
        )
        self._followed(split)
        settled = await self._unreadable.settled(dict(zip(split, found, strict=True)), self._endpoints.name)
        return {block.hash: settled.get(block, Readings()) for block in wanted}

    def _followed(self, blocks: Iterable[KnownBlock]) -> None:
        """Who does not have these lags. After a resync, what was read says so before the next head does."""
        health = self._endpoints.health
        health.followed = max((health.followed, *(block.number for block in blocks)))

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
            for holding in (*self.hints.of(head.hash), *more)
            if holding.token != NATIVE and ready.watch.covers(holding)
        }

    async def _viewed(self, heads: Sequence[Head], looked: Sequence[Looked], ready: _Ready) -> list[BlockView]:
        """With what was left out, as far as that can be told."""
        teller = self._endpoints.name
        blocks = [Block(head, *part) for head, part in zip(heads, looked, strict=True)]
        blocks = [*await completed(self._endpoints, blocks, ready, self.hints)]
        settled = await self._unreadable.settled({block.head: block.found for block in blocks}, teller)
        return [BlockView(block.head, block.transfers, settled[block.head], block.suspects) for block in blocks]


class _Ready(Asked):
    """A watch with everything encoded that is the same for every block."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.natives = Natives(watch.natives())


def hedge_seconds(size: int) -> float | None:
    """For a question about so many headers or balances."""
    return None if size <= _FEW_HOLDINGS else _LARGE_HEDGE_SECONDS


def _told_apart(holdings: Collection[Holding]) -> tuple[Natives, set[Holding]]:
    """Native balances, and those of tokens."""
    return (
        Natives(holding for holding in set(holdings) if holding.token == NATIVE),
        {holding for holding in holdings if holding.token != NATIVE},
    )


def _headers_at(*numbers: int) -> Plan[list[Head]]:
    return joined([header_of("eth_getBlockByNumber", hex(number)) for number in numbers])
