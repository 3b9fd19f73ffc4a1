"""How far each stream has been followed, and how far projected."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from bson import Int64

from indexer.domain.chain import BlockHash, Head
from indexer.domain.checkpoints import StoredCheckpoint
from repositories.database import Database
from repositories.failures import translating

_HEAD: Final = struct.Struct(">q32s32sq")
"""80 bytes a head: a window of 256 is 20 KB, where documents of their own would be 56 KB, every few seconds."""


class Checkpoints:
    """One document per stream; both halves are written on their own, and late writes are harmless."""

    def __init__(self, database: Database) -> None:
        self._checkpoints = database["checkpoints"]

    async def load(self, stream: str) -> StoredCheckpoint | None:
        with translating:
            found = await self._checkpoints.find_one({"_id": stream})
        if found is None:
            return None
        return StoredCheckpoint(_unpacked(found.get("window", b"")), int(found.get("projected", 0)))

    async def follow(self, stream: str, heads: Sequence[Head]) -> None:
        """These are the newest blocks that were handled, oldest first."""
        if not heads:
            return
        tip = heads[-1]
        followed = {"blockNumber": Int64(tip.number), "blockHash": tip.hash, "window": _packed(heads)}
        with translating:
            await self._checkpoints.update_one({"_id": stream}, {"$set": followed}, upsert=True)

    async def set_projected(self, stream: str, seq: int) -> None:
        """Queries see everything up to `seq`; never moves back."""
        with translating:
            await self._checkpoints.update_one({"_id": stream}, {"$max": {"projected": Int64(seq)}}, upsert=True)

    async def projected(self) -> dict[str, int]:
        with translating:
            cursor = self._checkpoints.find({}, {"projected": 1})
            return {found["_id"]: int(found.get("projected", 0)) async for found in cursor}


def _packed(heads: Sequence[Head]) -> bytes:
    return b"".join(
        _HEAD.pack(head.number, bytes.fromhex(head.hash[2:]), bytes.fromhex(head.parent[2:]), head.timestamp)
        for head in heads
    )


def _unpacked(window: bytes) -> tuple[Head, ...]:
    return tuple(
        Head(number, BlockHash(f"0x{block.hex()}"), BlockHash(f"0x{parent.hex()}"), timestamp)
        for number, block, parent, timestamp in _HEAD.iter_unpack(window)
    )
