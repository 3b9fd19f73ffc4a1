"""In-process listeners: each has its own queue and task, so that a slow one delays nobody."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from indexer.domain.telling.commits import Commit, Event
from indexer.domain.telling.events import EVENT_TYPES
from indexer.log import masked

log = structlog.get_logger(__name__)

MOST_WAITING = 10_000
"""Beyond that many waiting events the oldest are dropped, and the listener's log says how many."""

AT_ONCE = 100
"""So many events are handed over before the loop has its turn: a burst of 5,000 must not stall the chains."""

Callback = Callable[[Event], Awaitable[None] | None]
Unlisten = Callable[[], None]


class Listeners:
    """A sink of the broadcaster's that calls Python functions."""

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch
        self._all: set[_Listener] = set()

    def add(self, callback: Callback, kind: str | None = None) -> Unlisten:
        """Call back for every event of this type, or of all types; returns how to stop it."""
        if kind is not None and kind not in EVENT_TYPES.values():
            raise ValueError(f"no event has the type {kind!r}; there are {', '.join(sorted(EVENT_TYPES.values()))}")
        listener = _Listener(callback, kind)
        self._all.add(listener)

        def remove() -> None:
            self._all.discard(listener)
            listener.cancel()

        return remove

    def deliver(self, commit: Commit) -> None:
        if self._all:
            for event in commit.events(self._epoch):
                for listener in self._all:
                    listener.put(event)

    async def close(self) -> None:
        for listener in self._all:
            listener.cancel()
        await asyncio.gather(*(listener.task for listener in self._all), return_exceptions=True)
        self._all.clear()


class _Listener:
    def __init__(self, callback: Callback, kind: str | None) -> None:
        self._callback = callback
        self._kind = kind
        self._waiting: deque[Event] = deque(maxlen=MOST_WAITING)
        self._filled = asyncio.Event()
        self._dropped = 0
        self.task = asyncio.get_running_loop().create_task(self._call(), name="listener")

    def put(self, event: Event) -> None:
        if self._kind is not None and EVENT_TYPES[type(event.fact)] != self._kind:
            return
        if len(self._waiting) == MOST_WAITING:
            self._dropped += 1
        self._waiting.append(event)
        self._filled.set()

    def cancel(self) -> None:
        self.task.cancel()

    async def _call(self) -> None:
        while True:
            await self._filled.wait()
            if self._dropped:
                log.warning("listener_too_slow", dropped=self._dropped)
                self._dropped = 0
            for _ in range(min(AT_ONCE, len(self._waiting))):
                await self._hand_over(self._waiting.popleft())
                if self._is_over():
                    return
            if not self._waiting:
                self._filled.clear()
            await asyncio.sleep(0)

    async def _hand_over(self, event: Event) -> None:
        try:
            answer = self._callback(event)
            if inspect.isawaitable(answer):
                await answer
        except (Exception, asyncio.CancelledError) as error:  # the boundary to somebody else's code: it ends nothing
            if isinstance(error, asyncio.CancelledError) and self._is_over():
                raise
            # Not `exception`: structlog's own defaults show local variables, and in these there may be secrets.
            told = masked("".join(traceback.format_exception(error)))
            log.error("listener_failed", event_id=event.id, error=masked(repr(error)), exception=told)  # noqa: TRY400

    def _is_over(self) -> bool:
        """Whether this task was cancelled; otherwise the callback only awaited something that was."""
        return self.task.cancelling() > 0
