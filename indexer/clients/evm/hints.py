"""What the log subscription said about blocks that are not looked at yet; only ever a hint."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from indexer.domain.chain import BlockHash, Holding

_BLOCKS: Final = 128
"""Three spans of what was missed are under way at once, of 32 blocks each."""
_HOLDINGS: Final = 10_000


class Hints:
    """Watched holdings by the block in which a log named them; the oldest blocks are forgotten."""

    def __init__(self) -> None:
        self._by_block: OrderedDict[BlockHash, set[Holding]] = OrderedDict()

    def note(self, block: BlockHash, holding: Holding) -> None:
        found = self._by_block.get(block)
        if found is None:
            found = self._by_block[block] = set()
            if len(self._by_block) > _BLOCKS:
                self._by_block.popitem(last=False)
        if len(found) < _HOLDINGS:
            found.add(holding)

    def of(self, block: BlockHash) -> frozenset[Holding]:
        return frozenset(self._by_block.get(block, ()))
