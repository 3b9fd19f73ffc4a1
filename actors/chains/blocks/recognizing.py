"""Makes sure that the node follows the chain that this store knows; decides on one where it knows none."""

from __future__ import annotations

from typing import Protocol

import structlog

from actors.chains.nodes import Node
from indexer.domain.chain import BlockHash, ChainIdentity
from indexer.domain.following.election import elect
from indexer.errors import WrongChain

log = structlog.get_logger(__name__)


class ChainBook(Protocol):
    """Which chain stands behind each id in this store."""

    async def identity(self, chain_id: int) -> BlockHash | None: ...

    async def claim(self, identity: ChainIdentity) -> None:
        """From now on the id belongs to this chain; `WrongChain` when it belongs to another."""
        ...


class Recognizer:
    """Asked before anything else, and where nothing is as we know it, which is no reorg then."""

    def __init__(self, *, chain: str, chain_id: int, node: Node, book: ChainBook) -> None:
        self._chain = chain
        self._chain_id = chain_id
        self._node = node
        self._book = book

    async def recognize(self) -> None:
        """`WrongChain` where no endpoint is ours; those that are not are left where another one is."""
        known = await self._book.identity(self._chain_id)
        if known is None:
            await self._decide()
            return
        self._node.expect(known)
        await self._book.claim(self._ours(await self._node.identity()))

    async def _decide(self) -> None:
        voices = await self._node.identities()
        elected = elect({name: self._ours(identity) for name, identity in voices.items()})
        await self._book.claim(elected.identity)
        if elected.others:
            log.error(
                "genesis_disputed",
                chain=self._chain,
                genesis=elected.identity.genesis,
                by=elected.by,
                others=dict(elected.others),
            )
        self._node.expect(elected.identity.genesis)

    def _ours(self, identity: ChainIdentity) -> ChainIdentity:
        if identity.chain_id != self._chain_id:
            raise WrongChain(
                f"chains.{self._chain}: the node at {self._node.endpoint} follows chain {identity.chain_id}, not"
                f" {self._chain_id}; correct chain_id or rpc_urls"
            )
        return identity
