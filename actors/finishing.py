"""Finishes what a writer was ended over: a write that is on its way cannot be called back, and is told if it arrives.

The next life of the stream would find it in the log and have it told; but nobody knows when there will be one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

import structlog

from actors.patience import patiently
from indexer.domain.telling.commits import Commit
from indexer.errors import Fenced, StoreUnavailable

log = structlog.get_logger(__name__)

FINISH_SECONDS: Final = 2.0
"""So long a next life waits at a time. Then it says why, and asks again."""


class Log(Protocol):
    """The append-only log; `append` is safe to repeat and raises `Fenced` where another commit has the number."""

    async def append(self, commit: Commit) -> None: ...


class Finisher:
    """Lives longer than those who write; each of them leaves one write at most, in a task of its own."""

    def __init__(self, *, log: Log, publish: Callable[[Commit], None]) -> None:
        self._log = log
        self._publish = publish
        self._tasks: dict[asyncio.Task[None], str] = {}

    def left(self, commits: Sequence[Commit]) -> None:
        """Their writer is ended, and nobody knows which of these commits of one stream the store has or will have."""
        stream = commits[0].stream
        task = asyncio.get_running_loop().create_task(self._finish(stream, commits), name=f"finish {stream}")
        self._tasks[task] = stream
        task.add_done_callback(self._tasks.pop)

    async def finished(self, stream: str) -> None:
        """Return once all that was left of this stream is in the log, or never will be.

        Who counted before would count too low, and be taken for a second writer.
        """
        tasks = [task for task, left in self._tasks.items() if left == stream]
        if tasks and (await asyncio.wait(tasks, timeout=FINISH_SECONDS))[1]:
            raise StoreUnavailable(f"what was being written to {stream} is not settled yet")

    async def close(self) -> None:
        """What is not finished the next start of the service finds in the log, or does not."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, stream: str, commits: Sequence[Commit]) -> None:
        """The same commits again: only so is it known at the end which of them are there to stay."""
        try:
            for commit in commits:
                await patiently(stream, partial(self._log.append, commit))
                self._publish(commit)
        except Fenced as error:
            log.info("commit_not_finished", stream=stream, reason=str(error))
        except Exception:  # the boundary: what cannot be written could not be before, and nobody else waits for it
            log.exception("finishing_failed", stream=stream)
