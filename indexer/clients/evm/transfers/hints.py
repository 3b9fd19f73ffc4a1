"""What the log subscription said about blocks that are not looked at yet; only ever a hint."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from indexer.clients.evm.asking.answers import log_index
from indexer.domain.chain import BlockHash, Holding
from indexer.errors import BadAnswer

_BLOCKS: Final = 128
"""Three spans of what was missed are under way at once, of 32 blocks each."""
_HOLDINGS: Final = 10_000
_LOGS: Final = 20_000
"""In all blocks together, packed: half a kB each, where one as it came takes 1.4 kB."""
_TOLD: Final = ("address", "topics", "data", "blockNumber", "transactionHash", "logIndex")
"""All that a transfer is read from, but for its block's hash."""


@dataclass(slots=True)
class _Hinted:
    """What is said of one block: whom its logs name, and the logs themselves by their index, packed."""

    holdings: set[Holding] = field(default_factory=set)
    logs: dict[int, bytes] = field(default_factory=dict)


_NOTHING: Final = _Hinted()


class Hints:
    """Watched holdings by the block in which a log named them; the oldest blocks are forgotten."""

    def __init__(self) -> None:
        self._by_block: OrderedDict[BlockHash, _Hinted] = OrderedDict()
        self._logs = 0

    def note(self, block: BlockHash, holding: Holding) -> None:
        found = self._found(block)
        if len(found.holdings) < _HOLDINGS:
            found.holdings.add(holding)

    def keep(self, block: BlockHash, log: Mapping[str, Any]) -> None:
        """The log as well, in case that nobody tells it who is asked for this block."""
        try:
            index = log_index(log.get("logIndex"))
        except BadAnswer:
            return
        if str(log.get("blockHash")).lower() != block:  # it is not kept with the log
            return
        found = self._found(block)
        if self._logs < _LOGS and index not in found.logs:
            found.logs[index] = _packed(log)
            self._logs += 1

    def of(self, block: BlockHash) -> frozenset[Holding]:
        return frozenset(self._by_block.get(block, _NOTHING).holdings)

    def logs_of(self, block: BlockHash) -> Mapping[int, bytes]:
        """By their index in the block, each as `unpacked` takes it."""
        return self._by_block.get(block, _NOTHING).logs

    def _found(self, block: BlockHash) -> _Hinted:
        found = self._by_block.get(block)
        if found is None:
            found = self._by_block[block] = _Hinted()
            if len(self._by_block) > _BLOCKS:
                self._logs -= len(self._by_block.popitem(last=False)[1].logs)
        return found


def _packed(log: Mapping[str, Any]) -> bytes:
    """A copy: what orjson gives lies in a buffer of 1 kB, and 10,000 of them left 40 MB of holes in the heap."""
    return bytes(memoryview(orjson.dumps([log.get(key) for key in _TOLD])))


def unpacked(block: BlockHash, packed: bytes) -> Mapping[str, Any]:
    """A log of that block, as it came but for what no transfer is read from."""
    return {"blockHash": block, **dict(zip(_TOLD, orjson.loads(packed), strict=True))}
