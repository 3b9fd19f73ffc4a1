"""How far each stream has been published on NATS."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from bson import Int64

from repositories.database import Database
from repositories.failures import translating

_BEGUN: Final = "nats"


class Published:
    """One document per stream, and in `meta` when it began: later streams are published from their first event."""

    def __init__(self, database: Database) -> None:
        self._published = database["published"]
        self._meta = database["meta"]

    async def load(self) -> dict[str, int] | None:
        """The last number of each stream; nothing while publishing was never begun."""
        with translating:
            if await self._meta.find_one({"_id": _BEGUN}) is None:
                return None
            return {found["_id"]: int(found["seq"]) async for found in self._published.find({})}

    async def begin(self, positions: Mapping[str, int]) -> None:
        """Everything after these numbers is to be published."""
        for stream, seq in positions.items():
            await self.save(stream, seq)
        with translating:
            await self._meta.update_one({"_id": _BEGUN}, {"$set": {"beganAt": datetime.now(UTC)}}, upsert=True)

    async def save(self, stream: str, seq: int) -> None:
        """Never moves back."""
        with translating:
            await self._published.update_one({"_id": stream}, {"$max": {"seq": Int64(seq)}}, upsert=True)
