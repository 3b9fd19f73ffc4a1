"""Whose task is whose: what a process starts, however indirectly, ends when the process is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_OWNER: ContextVar[Process | None] = ContextVar("owner", default=None)


class Process:
    """A process of the story: everything that runs in its `context` belongs to it."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], None] = {}
        """Oldest first: a set of tasks has no order that a seed could repeat."""
        self.context: Context = copy_context()
        self.context.run(_OWNER.set, self)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        return asyncio.get_running_loop().create_task(work, context=self.context.copy())

    def kill(self) -> None:
        """Nothing of it gets to say another word (but for what `finally` says while it is cancelled)."""
        for task in tuple(self._tasks):
            task.cancel()

    def owns(self, task: asyncio.Task[Any]) -> None:
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)


def owned(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], *, context: Context | None = None
) -> asyncio.Task[T]:
    """The loop's task factory: a task belongs to the process in whose context it runs."""
    task = asyncio.Task(work, loop=loop, context=context)
    owner = (context or copy_context()).get(_OWNER)
    if owner is not None:
        owner.owns(task)
    return task
