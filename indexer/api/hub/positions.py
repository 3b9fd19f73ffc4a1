"""How far every stream was delivered, and waiting for it to get further."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from indexer.errors import StoreUnavailable


class Positions:
    """Written by the hub alone, as commits are delivered."""

    def __init__(self) -> None:
        self._seqs: dict[str, int] = {}
        self._moved = asyncio.Event()

    def __getitem__(self, stream: str) -> int:
        return self._seqs.get(stream, 0)

    def now(self) -> dict[str, int]:
        return dict(self._seqs)

    def begin(self, seqs: Mapping[str, int]) -> None:
        """What was told before this process; never back behind what was delivered since."""
        for stream, seq in seqs.items():
            self.move(stream, max(seq, self[stream]))

    def move(self, stream: str, seq: int) -> None:
        self._seqs[stream] = seq
        self._moved.set()
        self._moved.clear()

    def behind(self, cursors: Mapping[str, int]) -> list[str]:
        """The streams that were delivered further than these."""
        return [stream for stream, seq in self._seqs.items() if cursors.get(stream, 0) < seq]

    async def reached(self, wanted: Mapping[str, int], *, seconds: float) -> None:
        """Return once all these numbers were delivered."""
        try:
            async with asyncio.timeout(seconds):
                while any(self[stream] < seq for stream, seq in wanted.items()):
                    await self._moved.wait()
        except TimeoutError as error:
            raise StoreUnavailable("what is stored was not told in time") from error
