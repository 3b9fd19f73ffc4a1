"""How far each stream has been followed, and how far projected."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC
from hashlib import sha256
from typing import Any, Final

from bson import Int64

from indexer.domain.balances import Trail, Watch
from indexer.domain.chain import Address, BlockHash, Head, Holding
from indexer.domain.following.finality import Settled
from indexer.domain.health.incidents import Incident, Incidents
from indexer.domain.health.unread import Unread
from indexer.domain.resuming.checkpoints import Mark, SilentCut, StoredCheckpoint
from repositories.database import Database
from repositories.documents.blocks import holdings_document, holdings_of
from repositories.documents.logs import packed, unpacked
from repositories.failures import translating

_HEAD: Final = struct.Struct(">q32s32sq")
"""80 bytes a head: a window of 256 is 20 KB, where documents of their own would be 56 KB, every few seconds."""


class Checkpoints:
    """One document per stream; each part is written on its own, and late writes are harmless."""

    def __init__(self, database: Database) -> None:
        self._checkpoints = database["checkpoints"]
        self._watches: dict[str, str] = {}
        """By stream, the fingerprint of what we watch."""
        self._left: dict[str, int] = {}
        """By stream, what was told last before we ceased to follow it, written or not."""

    async def load(self, stream: str) -> StoredCheckpoint | None:
        with translating:
            found = await self._checkpoints.find_one({"_id": stream})
        if found is None:
            return None
        mark = _mark_of(found)
        if mark.watch is not None:
            self._watches.setdefault(stream, _fingerprint(mark.watch))
        left = max(int(found.get("left", 0)), self._left.get(stream, 0))
        return StoredCheckpoint(_unpacked(found.get("window", b"")), int(found.get("projected", 0)), mark, left)

    async def followed(self, stream: str) -> int | None:
        """The newest block that is known to have been handled; a few seconds old."""
        with translating:
            found = await self._checkpoints.find_one({"_id": stream}, {"blockNumber": 1})
        number = None if found is None else found.get("blockNumber")
        return None if number is None else int(number)

    async def follow(self, stream: str, heads: Sequence[Head], mark: Mark) -> None:
        """These are the newest blocks that were handled, oldest first."""
        if not heads:
            return
        tip = heads[-1]
        followed = {
            "blockNumber": Int64(tip.number),
            "blockHash": tip.hash,
            "window": _packed(heads),
            "seq": Int64(mark.seq),
            "safe": Int64(mark.settled.safe),
            "finalized": Int64(mark.settled.finalized),
            "trail": _trail_documents(mark.trail),
            "natives": None if mark.natives is None else Int64(mark.natives),
            "nativesBefore": struct.pack(f">{len(mark.natives_before)}q", *mark.natives_before),
            "returned": holdings_document(sorted(mark.returned)),
            "cuts": [[Int64(number), Int64(seq)] for number, seq in mark.cuts],
            "incidents": {
                kind: _incident_document(one) for kind, one in mark.incidents._asdict().items() if one is not None
            },
            "unread": {
                "holdings": holdings_document(sorted(mark.unread.held)),
                "tokens": {token: _incident_document(one) for token, one in mark.unread.tokens.items()},
            },
        }
        if mark.watch is not None:
            # Written only when it changed: with 1,000 wallets it is larger than the rest.
            followed["watch"] = {"tokens": sorted(mark.watch.tokens), "solvers": sorted(mark.watch.solvers)}
            self._watches[stream] = _fingerprint(mark.watch)
        if stream in self._watches:
            # Another process that takes this stream for its own may have written its watch since ours: these blocks
            # were not followed for that.
            followed["watchFingerprint"] = self._watches[stream]
        with translating:
            await self._checkpoints.update_one({"_id": stream}, {"$set": followed}, upsert=True)

    async def leave(self, stream: str, seq: int) -> None:
        """Nobody follows it any more, and this is the last number that was told of it."""
        self._left[stream] = seq
        with translating:
            await self._checkpoints.update_one({"_id": stream}, {"$max": {"left": Int64(seq)}}, upsert=True)

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


def _mark_of(found: dict[str, Any]) -> Mark:
    watch = _watch_of(found["watch"]) if "watch" in found else None
    if watch is not None and found.get("watchFingerprint", _fingerprint(watch)) != _fingerprint(watch):
        watch = Watch()  # nobody knows for what these blocks were followed
    return Mark(
        seq=int(found.get("seq", 0)),
        trail=_trail_of(found.get("trail", ())),
        settled=Settled(int(found.get("safe", -1)), int(found.get("finalized", -1))),
        watch=watch,
        natives=None if found.get("natives") is None else int(found["natives"]),
        natives_before=tuple(number for (number,) in struct.iter_unpack(">q", found.get("nativesBefore", b""))),
        returned=frozenset(holdings_of(found.get("returned", {}))),
        cuts=tuple(SilentCut(int(number), int(seq)) for number, seq in found.get("cuts", ())),
        incidents=Incidents(**{kind: _incident_of(one) for kind, one in found.get("incidents", {}).items()}),
        unread=_unread_of(found.get("unread", {})),
    )


def _watch_of(document: dict[str, Any]) -> Watch:
    return Watch(frozenset(document["tokens"]), frozenset(document["solvers"]))


def _fingerprint(watch: Watch) -> str:
    return sha256(repr((sorted(watch.tokens), sorted(watch.solvers))).encode()).hexdigest()


def _incident_document(incident: Incident) -> dict[str, Any]:
    return {"block": Int64(incident.block), "reason": incident.reason, "at": incident.at}


def _incident_of(document: dict[str, Any]) -> Incident:
    return Incident(int(document["block"]), document["reason"], document["at"].replace(tzinfo=UTC))


def _unread_of(document: dict[str, Any]) -> Unread:
    """Each is known to hold at the block of its last record, and no longer: how long it was is not kept."""
    held = dict.fromkeys(holdings_of(document.get("holdings", {})), 0)
    return Unread(held, {token: _incident_of(one) for token, one in document.get("tokens", {}).items()})


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
