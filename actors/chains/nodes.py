"""What a chain's actor asks of a node, hears of it, and asks those who know tokens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from indexer.domain.balances import Watch
from indexer.domain.chain import Address, BlockHash, ChainIdentity, Head, Holding, KnownBlock, TokenInfo
from indexer.domain.following.feed import FeedEvent
from indexer.domain.following.finality import Tags
from indexer.domain.following.views import BlockView, Parting, Readings, Replacement
from indexer.domain.health.status import EndpointTrouble


class Node(Protocol):
    """Answers questions about blocks; every balance is read at exactly the block asked for."""

    @property
    def endpoint(self) -> str: ...

    @property
    def outage(self) -> str | None:
        """Why no endpoint can be asked; nothing while one of them is well."""
        ...

    @property
    def troubles(self) -> tuple[EndpointTrouble, ...]: ...

    async def identity(self) -> ChainIdentity: ...

    async def identities(self) -> Mapping[str, ChainIdentity]:
        """As each endpoint says, in order of preference; at least one."""
        ...

    def expect(self, genesis: BlockHash) -> None:
        """Ask nobody any more whose chain begins with another block."""
        ...

    async def newest(self) -> Head: ...

    async def headers(self, first: int, last: int) -> tuple[Head, ...]: ...

    async def missed(self, first: int, last: int, watch: Watch) -> tuple[Head, ...]: ...

    async def look(self, heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]: ...

    async def replacement(
        self, ancestor: Head, head: Head, watch: Watch, moved: Collection[Holding], *, natives: bool = True
    ) -> Replacement: ...

    async def parting(self, ancestor: Head, head: Head, moved: Collection[Holding]) -> Parting: ...

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]: ...

    async def tags(self, beside: Head | None = None) -> Tags: ...

    async def is_disputed(self, tip: Head) -> bool: ...

    def distrust(self, reason: str) -> None: ...


class Tokens(Protocol):
    """What tokens say of themselves."""

    async def describe(self, chain_id: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]:
        """As it is kept; those that were never asked are asked."""
        ...

    async def say_otherwise(
        self, chain_id: int, tokens: Collection[Address], block: BlockHash
    ) -> Mapping[Address, TokenInfo]:
        """Those that say something else at this block than is kept."""
        ...

    async def keep_told(self, chain_id: int, told: Mapping[Address, TokenInfo]) -> None: ...


class Feed(Protocol):
    """Hears heads until it is cancelled."""

    async def run(self, on_event: Callable[[FeedEvent], None]) -> None: ...

    def watch(self, watch: Watch) -> None: ...
