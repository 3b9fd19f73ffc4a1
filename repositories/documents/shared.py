"""What the facts of a commit mostly share (chain, block, tokens), written once; a fact names only what differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bson import Int64

from indexer.domain.chain import BlockRef, TokenInfo
from repositories.documents.blocks import block_document, block_of

Document = dict[str, Any]

TokenTable = list[tuple[str, TokenInfo]]


@dataclass(slots=True)
class Shared:
    """What is written once for all facts of a commit; `tokens` grows while facts are encoded."""

    chain_id: int
    block: BlockRef | None
    tokens: dict[tuple[str, TokenInfo], int] = field(default_factory=dict)

    def token(self, token: str, info: TokenInfo) -> int:
        return self.tokens.setdefault((token, info), len(self.tokens))

    def differing(self, document: Document, chain_id: int, block: BlockRef | None = None) -> Document:
        """`document`, with chain and block where they are not the shared ones."""
        if chain_id != self.chain_id:
            document["chain"] = Int64(chain_id)
        # Identity first: 5,000 facts of one block hold the same object.
        if block is not None and block is not self.block and block != self.block:
            document["block"] = block_document(block)
        return document

    def chain_of(self, document: Document) -> int:
        return int(document["chain"]) if "chain" in document else self.chain_id

    def block_of(self, document: Document) -> BlockRef:
        if "block" in document:
            return block_of(document["block"])
        if self.block is None:
            raise ValueError("a commit without a block holds a fact that needs one")
        return self.block
