"""How far each stream has been followed, and how far projected."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

from bson import Int64

from indexer.domain.balances import NO_TRAIL, Trail, Watch
from indexer.domain.chain import Address, BlockHash, Head, Holding
from indexer.domain.checkpoints import StoredCheckpoint
from repositories.database import Database
from repositories.failures import translating
from repositories.logs import packed, unpacked

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
        return StoredCheckpoint(
            heads=_unpacked(found.get("window", b"")),
            projected=int(found.get("projected", 0)),
            seq=int(found.get("seq", 0)),
            trail=_trail_of(found.get("trail", ())),
            watch=_watch_of(found["watch"]) if "watch" in found else None,
        )

    async def follow(
        self, stream: str, heads: Sequence[Head], seq: int = 0, trail: Trail = NO_TRAIL, watch: Watch | None = None
    ) -> None:
        """The newest blocks that were handled, oldest first; the last number then, and the logs without a record.

        `watch` is left as it was where none is given: with 1,000 wallets it is larger than the rest.
        """
        if not heads:
            return
        tip = heads[-1]
        followed = {"blockNumber": Int64(tip.number), "blockHash": tip.hash, "window": _packed(heads)}
        followed |= {"seq": Int64(seq), "trail": _trail_documents(trail)}
        if watch is not None:
            followed["watch"] = {"tokens": sorted(watch.tokens), "solvers": sorted(watch.solvers)}
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


def _trail_documents(trail: Trail) -> list[dict[str, Any]]:
    return [
        {"token": token, "solver": solver, "logs": None if logs is None else packed(logs)}
        for (token, solver), logs in trail.items()
    ]


def _trail_of(documents: Sequence[dict[str, Any]]) -> Trail:
    return {
        Holding(one["token"], Address(one["solver"])): None if one["logs"] is None else unpacked(one["logs"])
        for one in documents
    }


def _watch_of(document: dict[str, list[Address]]) -> Watch:
    return Watch(frozenset(document["tokens"]), frozenset(document["solvers"]))
