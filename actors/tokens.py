"""What tokens say of themselves: asked before they are watched, kept, and asked again while they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import structlog

from indexer.domain.chain import NATIVE, Address, BlockHash, Head, TokenInfo
from indexer.domain.tokens import NOTHING_TOLD
from indexer.domain.watching import WatchedToken
from indexer.errors import Impossible, NotAToken

log = structlog.get_logger(__name__)

T = TypeVar("T")

_PROBED_AT_ONCE: Final = 16
"""A thousand tokens, one after the other, would take longer than anybody waits."""


class Node(Protocol):
    """Asks tokens what they are, at one block; `probe` raises `NotAToken`."""

    async def newest(self) -> Head: ...

    async def probe(self, token: Address, block: BlockHash) -> TokenInfo: ...

    async def describe(
        self, known: Mapping[Address, TokenInfo], block: BlockHash, *, can_wait: bool = False
    ) -> Mapping[Address, TokenInfo]:
        """Where a token tells nothing, or not everybody the same of it, what was known."""
        ...


class TokenBook(Protocol):
    """Where it is kept."""

    async def get(self, chain_id: int) -> Mapping[Address, TokenInfo]: ...

    async def put(self, chain_id: int, address: Address, info: TokenInfo) -> None: ...


class Within(Protocol):
    """Waits for what a chain's node is asked on behalf of somebody, in bounds."""

    async def __call__(self, chain_id: int, work: Coroutine[Any, Any, T], /) -> T: ...


async def however_long(_chain_id: int, work: Coroutine[Any, Any, T], /) -> T:
    """For those whom nobody waits for."""
    return await work


class TokenInfos:
    """By chain; the native coin is among its tokens, and the file says what it is."""

    def __init__(self, *, book: TokenBook, node: Callable[[int], Node], within: Within) -> None:
        self._book = book
        self._node = node
        self._within = within
        self._infos: dict[int, dict[str, TokenInfo]] = {}
        self._loaded: set[int] = set()

    async def load(self, chain_id: int, native: TokenInfo) -> None:
        self.configure(chain_id, native)
        await self._load(chain_id)

    async def _load(self, chain_id: int) -> None:
        """What was kept in earlier lives: of a chain that the file names later, when it is asked about first."""
        if chain_id not in self._loaded:
            known = await self._book.get(chain_id)
            infos = self._infos.setdefault(chain_id, {})
            infos |= {str(address): info for address, info in known.items() if str(address) not in infos}
            self._loaded.add(chain_id)

    def configure(self, chain_id: int, native: TokenInfo) -> None:
        self._infos.setdefault(chain_id, {})[NATIVE] = native

    def of(self, chain_id: int, address: Address) -> TokenInfo | None:
        return self._infos.get(chain_id, {}).get(address)

    async def describe(self, chain_id: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]:
        """Those that were never asked are asked; the native coin is always among the answers."""
        await self._load(chain_id)
        infos = self._infos.setdefault(chain_id, {})
        new = dict.fromkeys(sorted(set(tokens) - infos.keys()), NOTHING_TOLD)
        if new:
            node = self._node(chain_id)
            for token, info in (await node.describe(new, (await node.newest()).hash)).items():
                await self._keep(chain_id, token, info)
        return dict(infos)

    async def changed(
        self, chain_id: int, tokens: Collection[Address], block: BlockHash
    ) -> Mapping[Address, TokenInfo]:
        """Those that say something else at this block than is known, be that nothing; it is not kept yet."""
        infos = self._infos.get(chain_id, {})
        known = {token: infos.get(token, NOTHING_TOLD) for token in tokens}
        told = await self._node(chain_id).describe(known, block, can_wait=True)
        return {token: info for token, info in told.items() if info != known[token]}

    async def keep(self, chain_id: int, told: Mapping[Address, TokenInfo]) -> None:
        """What they say from now on."""
        for token, info in told.items():
            before = self.of(chain_id, token)
            if info == before:
                continue
            await self._keep(chain_id, token, info)
            if before is not None:
                log.warning("token_changed", chain=chain_id, token=token, before=_shown(before), now=_shown(info))

    async def _keep(self, chain_id: int, token: Address, info: TokenInfo) -> None:
        await self._book.put(chain_id, token, info)
        self._infos.setdefault(chain_id, {})[token] = info

    async def probed(self, chain_id: int, tokens: Sequence[tuple[Address, str]]) -> Sequence[WatchedToken]:
        """Each with the field that names it, for whoever ordered that: the first that is no token is refused."""
        return await self._within(chain_id, self._probed(chain_id, tokens)) if tokens else ()

    async def _probed(self, chain_id: int, tokens: Sequence[tuple[Address, str]]) -> list[WatchedToken]:
        """Several at a time, in order."""
        found: list[WatchedToken] = []
        block = (await self._node(chain_id).newest()).hash
        for at in range(0, len(tokens), _PROBED_AT_ONCE):
            part = tokens[at : at + _PROBED_AT_ONCE]
            asked = (self._probe(chain_id, address, field, block) for address, field in part)
            infos = await asyncio.gather(*asked, return_exceptions=True)
            for (address, _), info in zip(part, infos, strict=True):
                if isinstance(info, BaseException):
                    raise info
                found.append(WatchedToken(chain_id, address, info))
        return found

    async def _probe(self, chain_id: int, address: Address, field: str, block: BlockHash) -> TokenInfo:
        try:
            info = await self._node(chain_id).probe(address, block)
        except NotAToken as error:
            raise Impossible(str(error), field) from error
        await self._keep(chain_id, address, info)
        return info


def _shown(info: TokenInfo) -> dict[str, int | str | None]:
    return {"decimals": info.decimals, "symbol": info.symbol, "name": info.name}
