"""One subscription: what the client missed, in the order of docs/api.md, then live without a seam."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from indexer.api.hub.filters import Interest, Interests, Wanted
from indexer.api.hub.frames import Told, json_frame, told
from indexer.api.hub.outbox import CHUNK_BYTES, Outbox
from indexer.api.hub.positions import Positions
from indexer.api.hub.requests import Subscribe
from indexer.api.hub.snapshots import Snapshots
from indexer.api.hub.sources import Log
from indexer.domain.telling.commits import Commit
from indexer.errors import EventUnwritable, StoreUnavailable

log = structlog.get_logger(__name__)

FEWEST_COMMITS: Final = 10
MOST_COMMITS: Final = 200
GOOD_PAGE: Final = 500
"""Events; a commit may hold one or thousands, so that the page adapts."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Where every subscription of the hub gets its events from."""

    epoch: str
    log: Log
    snapshots: Snapshots
    positions: Positions
    interests: Interests[Outbox]
    reads: asyncio.Semaphore


class Subscription:
    """Begins behind, or level; goes live at a moment at which it has everything, with no await in between."""

    def __init__(
        self,
        request: Subscribe,
        *,
        feed: Feed,
        outbox: Outbox,
        turn: asyncio.Lock,
        is_sent: Callable[[Subscription, Told], bool],
    ) -> None:
        """`turn` is the client's, for snapshots of all its subscriptions."""
        self.request = request
        self.began: Mapping[str, int] = feed.positions.now()
        self.cursors = self._with_after(self.began)
        """Per stream: everything up to here that the filters accept was said."""
        self.live_from: Mapping[str, int] | None = None
        self.conflations_before = outbox.conflations
        self.wanted = Wanted(request.filters)
        self._feed = feed
        self._outbox = outbox
        self._turn = turn
        self._is_sent = is_sent
        self._interests: Sequence[Interest[Outbox]] = ()

    @property
    def is_plain(self) -> bool:
        """Nothing has to be fetched for it."""
        return not self.request.snapshot and not self.request.after

    def go_live(self) -> None:
        self._interests = self._feed.interests.add(self._outbox, self.request.filters)
        self.live_from = self._feed.positions.now()

    def stop(self) -> None:
        self._feed.interests.remove(self._interests)
        self._interests = ()
        self.live_from = None

    async def catch_up(self) -> None:
        """Snapshot, then what was missed, from the log; what is told meanwhile comes from the log too."""
        if self.request.snapshot:
            positions = await self._say_snapshot(None)
            self.cursors = self._with_after(positions)
        for stream, after in self.request.after.items():
            if after > self._feed.positions[stream]:
                await self._say_gap(stream)
        await self.resume()

    def fall_back(self, stream: str, after: int) -> bool:
        """Something above `after` could not be told: it is read from the log. Whether to `resume` it for that."""
        was_live = self.live_from is not None
        if was_live:
            self.stop()
            self.cursors = self._feed.positions.now()
        self.cursors[stream] = min(after, self.cursors.get(stream, 0))
        return was_live

    async def resume(self) -> None:
        """From the log what was told since the cursors; then live."""
        while behind := self._feed.positions.behind(self.cursors):
            for stream in behind:
                await self._replay(stream)
        self.go_live()

    def _with_after(self, positions: Mapping[str, int]) -> dict[str, int]:
        """Streams that `after` does not name start where the subscription does."""
        named = {stream: min(after, positions.get(stream, 0)) for stream, after in self.request.after.items()}
        return {**positions, **named}

    async def _replay(self, stream: str) -> None:
        """Up to where the stream is now; a busy one does not keep the others waiting."""
        limit = FEWEST_COMMITS
        last = self._feed.positions[stream]
        while (cursor := self.cursors.get(stream, 0)) < last:
            async with self._feed.reads:
                page = await self._feed.log.since(stream, cursor, limit)
            if _has_hole(page, cursor):
                await self._say_gap(stream)
                return
            if not page:
                # A primary that was elected a moment ago: what it knows a majority to have ends lower than what it has.
                raise StoreUnavailable(f"number {last} of {stream} cannot be read yet")
            # Nothing that was not delivered yet: other subscriptions of the same client must not see it twice.
            delivered = [commit for commit in page if commit.last_seq <= last]
            if not await self._say_missed(stream, delivered, cursor):
                await self._say_gap(stream)
                return
            events = sum(len(commit.facts) for commit in page)
            limit = min(limit * 2, MOST_COMMITS) if events < GOOD_PAGE else max(1, limit // 2)

    async def _say_missed(self, stream: str, commits: Sequence[Commit], cursor: int) -> bool:
        """Whether all of it could be said; else what comes before the first that could not."""
        frames: list[bytes] = []
        size = 0
        for commit in commits:
            for event in told(commit, self._feed.epoch):
                if event.seq > cursor and self.wanted.accepts(event) and not self._is_sent(self, event):
                    try:
                        frames.append(event.frame())
                    except EventUnwritable as error:
                        log.error("event_unwritable", stream=stream, seq=event.seq, error=str(error))  # noqa: TRY400 - its traceback says no more
                        await self._say(frames)
                        return False
                    size += len(frames[-1])
                if size >= CHUNK_BYTES:
                    await self._say(frames)
                    self.cursors[stream] = event.seq
                    frames, size = [], 0
        await self._say(frames)
        self.cursors[stream] = max(self.cursors.get(stream, 0), commits[-1].last_seq)
        return True

    async def _say(self, frames: Sequence[bytes]) -> None:
        """At the client's pace, and in turns with everybody else."""
        if frames:
            self._outbox.say(b"".join(frames))
        await self._outbox.room()
        await asyncio.sleep(0)

    async def _say_gap(self, stream: str) -> None:
        self._outbox.say(json_frame({"type": "gap", "stream": stream}))
        positions = await self._say_snapshot(stream)
        self.cursors[stream] = positions[stream]

    async def _say_snapshot(self, stream: str | None) -> Mapping[str, int]:
        async with self._turn:
            await self._outbox.taken()  # one at a time, and the next when this one is read: they are megabytes
            async with self._feed.reads:
                snapshot = await self._feed.snapshots.take(self.wanted, stream)
                frame = await snapshot.frame(self.request.id)
            self._outbox.say(frame)
        await self._outbox.room()
        return snapshot.positions


def _has_hole(page: Sequence[Commit], cursor: int) -> bool:
    """Whether events right after `cursor` are not kept; zero asks for whatever is kept."""
    return cursor > 0 and (not page or page[0].first_seq > cursor + 1)
