"""How far each chain is followed, told so that an answer read afterwards can never claim too much."""

from __future__ import annotations

from indexer.api.ports import Freshness, Status
from indexer.api.reach import Reach


class Followed:
    """Asked before every read of balances."""

    def __init__(self, *, freshness: Freshness, status: Status) -> None:
        self._freshness = freshness
        self._status = status

    async def reach(self) -> Reach:
        """As it is now.

        Whatever was told up to then can be read once this returns, so that a record read next holds that far.
        """
        reach = Reach(self._status.streams())
        await self._freshness.caught_up()
        return reach
