"""Frames on their way to one client: straight to its socket while it reads, else through a bounded queue."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import orjson

from indexer.api.hub.frames import Told, text_frame
from indexer.errors import EventUnwritable

CHUNK_BYTES: Final = 64 * 1024
"""Written at a time to a client that has a queue, so that it takes turns with the others."""


class Transport(Protocol):
    """The part of `asyncio.Transport` that is used."""

    def write(self, data: bytes) -> None: ...

    def get_write_buffer_size(self) -> int: ...


class Outbox:
    """Never waits for its client in `tell` or `say`; whole frames only, and in order.

    Writing to the transport beside aiohttp's own writer is safe because that, too, hands over whole frames without
    an `await` in between, as long as there is no compression.
    """

    __slots__ = (
        "_buffered",
        "_conflating",
        "_count",
        "_drain",
        "_drains",
        "_dropped",
        "_high",
        "_kept",
        "_limit",
        "_moved",
        "_on_conflation",
        "_on_overflow",
        "_on_unwritable",
        "_overfull",
        "_progress",
        "_progress_at",
        "_pump_task",
        "_sent",
        "_waiting",
        "_words",
        "_write",
        "closed",
        "conflations",
        "idle",
    )

    def __init__(
        self,
        transport: Transport,
        drain: Callable[[], Awaitable[None]],
        *,
        high_water: int,
        limit: int,
        on_conflation: Callable[[int], None],
        on_overflow: Callable[[], None],
        on_unwritable: Callable[[Told], None],
    ) -> None:
        self._write = transport.write
        self._buffered = transport.get_write_buffer_size
        self._drain = drain
        self._high = high_water
        self._limit = limit
        self._on_conflation = on_conflation
        self._on_overflow = on_overflow
        self._on_unwritable = on_unwritable
        self.idle = True
        """Nothing is queued and the socket takes more: what is told now goes out at once."""
        self.closed = False
        self.conflations = 0
        # Events by a running number, or by their key while conflating; frames that are not events always by number.
        self._waiting: OrderedDict[Hashable, Told | bytes] = OrderedDict()
        self._words = 0
        self._kept = 0
        """Events among them that no other stands for."""
        self._overfull = False
        self._count = 0
        self._conflating = False
        self._dropped = 0
        self._drains = 0
        self._sent = 0
        self._progress = 0
        self._progress_at: float | None = None
        self._pump_task: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()

    def tell(self, payload: bytes, events: Sequence[Told]) -> None:
        """`payload` is the frames of `events`, joined once for all who get the same."""
        if self.idle:
            self._put(payload)
        else:
            self.queue(events)

    def queue(self, events: Sequence[Told]) -> None:
        """Events that are conflated when more than the limit is waiting."""
        for told in events:
            if self.closed or self._overfull:
                return
            if self._conflating and told.key is not None:
                self._keep_newest(told.key, told)
            else:
                self._append(told)
            if not self._conflating and len(self._waiting) - self._words > self._limit:
                self._conflate()
        self._start_pump()

    def _append(self, told: Told) -> None:
        self._count += 1
        self._waiting[self._count] = told
        if told.key is None:
            self._kept += 1
            if self._kept > self._limit:
                self._overfull = True
                # Not now: who tells is in the midst of all its readers.
                asyncio.get_running_loop().call_soon(self._on_overflow)

    def say(self, frame: bytes) -> None:
        """A frame that is never left out: an answer, a snapshot, a replayed event."""
        if self.idle:
            self._put(frame)
        elif not self.closed:
            self._count += 1
            self._words += 1
            self._waiting[self._count] = frame

    async def room(self, words: int = 0) -> None:
        """Return when no more than so many of what was said are still waiting, or the client is gone."""
        while self._words > words and not self.closed:
            await self._moved.wait()

    async def taken(self) -> None:
        """Return when the socket has taken all that was said, or the client is gone; events may still wait."""
        await self.room()
        drains = self._drains
        while not self.idle and self._drains == drains and not self.closed:
            await self._moved.wait()

    def shut(self) -> None:
        """Nothing more goes out, and what was waiting is forgotten."""
        self.closed = True
        self.idle = False
        self._waiting.clear()
        self._words = 0
        self._moved.set()
        if self._pump_task is not None:
            self._pump_task.cancel()
            self._pump_task = None

    def leave(self, frame: bytes) -> None:
        """Shut, with a last frame behind what the socket has already."""
        if not self.closed:
            self.shut()
            with suppress(RuntimeError):  # as in `_put`: gone already
                self._write(frame)

    def check(self) -> None:
        """Raises what ended the writing of the queue by mistake: nothing would ever be written again."""
        if self._pump_task is not None and self._pump_task.done() and not self._pump_task.cancelled():
            self._pump_task.result()

    def stalled_seconds(self, now: float) -> float:
        """For how long a socket that has something to take has taken nothing."""
        buffered = self._buffered()
        progress = self._sent - buffered
        if self._progress_at is None or not buffered or progress > self._progress:
            self._progress = max(progress, self._progress)
            self._progress_at = now
        return now - self._progress_at

    def _put(self, data: bytes) -> None:
        try:
            self._write(data)
        except RuntimeError:  # the plan: uvloop says so when the socket is gone; its handler is about to find out
            self.shut()
            return
        self._sent += len(data)
        if self._buffered() > self._high:
            self.idle = False
            self._start_pump()

    def _start_pump(self) -> None:
        self.idle = False
        if self._pump_task is None and not self.closed:
            self._pump_task = asyncio.get_running_loop().create_task(self._pump())

    async def _pump(self) -> None:
        try:
            while True:
                await self._drain()
                self._drains += 1
                if not self._waiting:
                    break
                self._write_chunk()
                self._wake()
                await asyncio.sleep(0)
        except (ConnectionError, RuntimeError):  # the plan: as in `_put`
            self.shut()
            return
        self._pump_task = None
        self.idle = True
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved.clear()

    def _write_chunk(self) -> None:
        frames: list[bytes] = []
        size = 0
        if self._dropped:
            frames.append(text_frame(orjson.dumps({"type": "conflated", "dropped": self._dropped})))
            self._on_conflation(self._dropped)
            self._dropped = 0
        while self._waiting and size < CHUNK_BYTES:
            _, item = self._waiting.popitem(last=False)
            if isinstance(item, Told):
                self._kept -= item.key is None
                try:
                    frame = item.frame()
                except EventUnwritable:  # the plan: whoever waits for it is told of a gap
                    self._on_unwritable(item)
                    continue
            else:
                self._words -= 1
                frame = item
            frames.append(frame)
            size += len(frame)
        if not self._waiting:
            self._conflating = False
        data = b"".join(frames)
        self._write(data)
        self._sent += len(data)

    def _conflate(self) -> None:
        """From here on only the newest event per key waits, until all are out."""
        self._conflating = True
        waiting, self._waiting = self._waiting, OrderedDict()
        for number, item in waiting.items():
            if isinstance(item, Told) and item.key is not None:
                self._keep_newest(item.key, item)
            else:
                self._waiting[number] = item
        self.conflations += 1

    def _keep_newest(self, key: Hashable, told: Told) -> None:
        """At the place of the newest, so that numbers still rise within a stream."""
        if self._waiting.pop(key, None) is not None:
            self._dropped += 1
        self._waiting[key] = told
