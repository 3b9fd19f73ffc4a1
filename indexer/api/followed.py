"""How far each chain is followed, told so that an answer read afterwards can never claim too much."""

from __future__ import annotations

from collections.abc import Mapping

from indexer.api.ports import Freshness, Status
from indexer.domain.streams import chain_stream


class Followed:
    """Asked before every read of balances."""

    def __init__(self, *, freshness: Freshness, status: Status) -> None:
        self._freshness = freshness
        self._status = status

    async def blocks(self) -> Mapping[str, int]:
        """Per stream the block it has followed to.

        Taken first; whatever was told up to then can be read once this returns, so that a record read next
        holds for the block that was taken.
        """
        blocks = {status.stream: status.block for status in self._status.streams() if status.block is not None}
        await self._freshness.caught_up()
        return blocks

    async def block(self, chain_id: int) -> int | None:
        return (await self.blocks()).get(chain_stream(chain_id))
