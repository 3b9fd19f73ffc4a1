"""The append-only log and the checkpoints."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from indexer.domain.chain import Head
from indexer.domain.resuming.checkpoints import Mark, StoredCheckpoint
from indexer.domain.telling.commits import Commit
from indexer.errors import Fenced
from tests.sim.store.disk import Kept
from tests.sim.store.ports import Wire


class SimLog:
    """`commits`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._streams = _Streams()

    async def append(self, commit: Commit) -> None:
        def insert(kept: Kept) -> None:
            for there in reversed(kept.commits):
                if there.stream != commit.stream:
                    continue
                if there.first_seq < commit.first_seq:
                    break
                if there.first_seq == commit.first_seq:
                    if there.id != commit.id:
                        raise Fenced(f"another process has written number {commit.first_seq} of {commit.stream}")
                    return
            kept.commits.append(commit)

        await self._wire.write(insert)

    async def append_all(self, commits: Sequence[Commit]) -> None:
        """One by one, so that it fails and is killed in between as well: a prefix is what is promised."""
        for commit in commits:
            await self.append(commit)

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]:
        def look(kept: Kept) -> list[Commit]:
            commits = self._streams.of(kept.commits).get(stream, [])
            first = bisect_right(commits, after, key=lambda commit: commit.last_seq)
            return commits[first : first + limit]

        return await self._wire.read(look)

    async def above_block(self, stream: str, number: int) -> list[Commit]:
        return await self._wire.read(
            lambda kept: [
                commit
                for commit in self._streams.of(kept.commits).get(stream, ())
                if commit.checkpoint is not None and commit.checkpoint.head.number > number
            ]
        )

    async def forget(self, before: datetime, keep: int) -> int:
        def delete(kept: Kept) -> int:
            newest = {commit.stream: commit.last_seq for commit in kept.commits}
            left = [
                commit
                for commit in kept.commits
                if commit.last_seq > newest[commit.stream] - keep or commit.time >= before
            ]
            gone = len(kept.commits) - len(left)
            kept.commits = left
            return gone

        return await self._wire.write(delete)

    async def first_seq(self, stream: str) -> int | None:
        def look(kept: Kept) -> int | None:
            commits = self._streams.of(kept.commits).get(stream)
            return None if commits is None else commits[0].first_seq

        return await self._wire.read(look)

    async def last_seq(self, stream: str) -> int:
        return (await self.positions()).get(stream, 0)

    async def positions(self) -> dict[str, int]:
        """Linearizable, as the real one asks: a primary that is cut off cannot answer, as it could not write."""
        return await self._wire.write(
            lambda kept: {stream: commits[-1].last_seq for stream, commits in self._streams.of(kept.commits).items()}
        )


class SimCheckpoints:
    """`checkpoints`: three parts, each written on its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._left: dict[str, int] = {}

    async def load(self, stream: str) -> StoredCheckpoint | None:
        stored = await self._wire.read(lambda kept: kept.checkpoints.get(stream))
        return None if stored is None else replace(stored, left=max(stored.left, self._left.get(stream, 0)))

    async def followed(self, stream: str) -> int | None:
        def look(kept: Kept) -> int | None:
            stored = kept.checkpoints.get(stream)
            return stored.heads[-1].number if stored is not None and stored.heads else None

        return await self._wire.read(look)

    async def follow(self, stream: str, heads: Sequence[Head], mark: Mark) -> None:
        if not heads:
            return
        taken = replace(mark, trail=dict(mark.trail))

        def update(kept: Kept) -> None:
            stored = kept.checkpoints.get(stream, StoredCheckpoint())
            mark = replace(taken, watch=taken.watch or stored.mark.watch)
            kept.checkpoints[stream] = replace(stored, heads=tuple(heads), mark=mark)

        await self._wire.write(update)

    async def leave(self, stream: str, seq: int) -> None:
        self._left[stream] = seq

        def update(kept: Kept) -> None:
            stored = kept.checkpoints.get(stream, StoredCheckpoint())
            kept.checkpoints[stream] = replace(stored, left=max(seq, stored.left))

        await self._wire.write(update)

    async def set_projected(self, stream: str, seq: int) -> None:
        def update(kept: Kept) -> None:
            stored = kept.checkpoints.get(stream, StoredCheckpoint())
            kept.checkpoints[stream] = replace(stored, projected=max(seq, stored.projected))

        await self._wire.write(update)

    async def projected(self) -> dict[str, int]:
        return await self._wire.read(
            lambda kept: {stream: stored.projected for stream, stored in kept.checkpoints.items()}
        )


class _Streams:
    """The commits of each stream, in their order: no number is written before the one below it.

    Everybody asks all the time, so only those commits are looked at that came since the last time.
    """

    def __init__(self) -> None:
        self._commits: list[Commit] = []
        self._seen = 0
        self._newest: Commit | None = None
        self._found: dict[str, list[Commit]] = {}

    def of(self, commits: list[Commit]) -> Mapping[str, list[Commit]]:
        before = commits[self._seen - 1] if 0 < self._seen <= len(commits) else None
        if commits is not self._commits or self._newest is not before:
            self._commits, self._seen, self._found = commits, 0, {}
        for commit in commits[self._seen :]:
            self._found.setdefault(commit.stream, []).append(commit)
        self._seen, self._newest = len(commits), commits[-1] if commits else None
        return self._found
