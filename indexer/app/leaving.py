"""Of chains that nobody follows any more: what was told of them last. Whoever follows one again tells all once more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from actors.patience import patiently


class Checkpoints(Protocol):
    """Keeps it beside how far the chain was followed; who loads that in this life knows of it at once."""

    async def leave(self, stream: str, seq: int) -> None: ...


class Leaving:
    """A reload does not wait until it is written, as the store may be away: one task for each stream at most."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def written(self, told: Mapping[str, int]) -> None:
        for stream, seq in told.items():
            await self._write(stream, seq)

    async def begun(self, told: Mapping[str, int]) -> None:
        for stream, seq in told.items():
            if (before := self._tasks.get(stream)) is not None:
                before.cancel()
            self._tasks[stream] = task = asyncio.create_task(self._write(stream, seq), name=f"leave {stream}")
            task.add_done_callback(partial(self._ended, stream))
        await asyncio.sleep(0)  # every one is on its way

    async def close(self) -> None:
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, stream: str, seq: int) -> None:
        await patiently(stream, partial(self._checkpoints.leave, stream, seq))

    def _ended(self, stream: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(stream) is task:
            del self._tasks[stream]
