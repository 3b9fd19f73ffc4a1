"""How far each stream has been followed, and how far projected."""

from __future__ import annotations

from collections.abc import Sequence

from bson import Int64

from indexer.domain.chain import Head
from indexer.domain.checkpoints import StoredCheckpoint
from repositories.codec import head_document, head_of
from repositories.database import Database
from repositories.failures import translating


class Checkpoints:
    """One document per stream; both halves are written on their own, and late writes are harmless."""

    def __init__(self, database: Database) -> None:
        self._checkpoints = database["checkpoints"]

    async def load(self, stream: str) -> StoredCheckpoint | None:
        with translating:
            found = await self._checkpoints.find_one({"_id": stream})
        if found is None:
            return None
        heads = tuple(head_of(head) for head in found.get("heads", ()))
        return StoredCheckpoint(heads, int(found.get("projected", 0)))

    async def follow(self, stream: str, heads: Sequence[Head]) -> None:
        """These are the newest blocks that were handled, oldest first."""
        window = [head_document(head) for head in heads]
        with translating:
            await self._checkpoints.update_one({"_id": stream}, {"$set": {"heads": window}}, upsert=True)

    async def set_projected(self, stream: str, seq: int) -> None:
        """Queries see everything up to `seq`; never moves back."""
        with translating:
            await self._checkpoints.update_one({"_id": stream}, {"$max": {"projected": Int64(seq)}}, upsert=True)

    async def projected(self) -> dict[str, int]:
        with translating:
            cursor = self._checkpoints.find({}, {"projected": 1})
            return {found["_id"]: int(found.get("projected", 0)) async for found in cursor}
