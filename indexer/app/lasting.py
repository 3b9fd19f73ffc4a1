"""Tasks that last as long as the service does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any


def keep_running(
    work: Coroutine[Any, Any, None],
    name: str,
    *,
    until: AsyncExitStack,
    give_up: Callable[[str, BaseException], None],
) -> None:
    """Cancelled when `until` is closed. If it fails before, the service cannot do what it is for: `give_up` is told."""
    task = asyncio.get_running_loop().create_task(work, name=name)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            give_up(name, error)

    async def stop() -> None:
        task.cancel()
        await asyncio.wait((task,))

    task.add_done_callback(ended)
    until.push_async_callback(stop)
