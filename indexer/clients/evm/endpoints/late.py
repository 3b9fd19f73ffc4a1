"""Questions that another endpoint answered first: they go on a while, since their end tells how ill an endpoint is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from indexer.clients.evm.asking.courier import NoAnswer
from indexer.clients.evm.endpoints.endpoint import Endpoint
from indexer.clients.evm.endpoints.health import Wellness
from indexer.errors import BlockUnknown, IndexerError, StateMissing

LATE_SECONDS: Final = 3.0
"""So long who was overtaken may still answer, before it counts as lost: probes find out early that it is back."""


class Latecomers:
    """The endpoints that still owe an answer which nobody waits for; others are asked before them."""

    def __init__(self, health: Wellness) -> None:
        self._health = health
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def leave(self, running: Mapping[asyncio.Task[Any], Endpoint], deniers: Sequence[Endpoint] = ()) -> None:
        """One of each endpoint goes on; that is enough to learn from. If it knows what `deniers` did not, they lag."""
        for task, endpoint in running.items():
            if endpoint.name in self._tasks:
                task.cancel()
                continue
            self._tasks[endpoint.name] = task
            task.add_done_callback(partial(self._ended, endpoint, deniers))
            asyncio.get_running_loop().call_later(LATE_SECONDS, self._give_up_on, endpoint, task)

    async def close(self) -> None:
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _give_up_on(self, endpoint: Endpoint, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(endpoint.name) is task and not task.done():
            task.cancel()
            self._health.judge(endpoint, NoAnswer("no answer, while another endpoint answered"))

    def _ended(self, endpoint: Endpoint, deniers: Sequence[Endpoint], task: asyncio.Task[Any]) -> None:
        self._tasks.pop(endpoint.name, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._health.came_back()
        if error is None and deniers:
            self._health.answered(endpoint, deniers)
        elif isinstance(error, IndexerError) and not isinstance(error, BlockUnknown | StateMissing):
            self._health.judge(endpoint, error)
