"""The append-only log and the checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from indexer.domain.chain import Head
from indexer.domain.checkpoints import Mark, StoredCheckpoint
from indexer.domain.commits import Commit
from indexer.errors import Fenced
from tests.sim.store.disk import Kept
from tests.sim.store.ports import Wire


class SimLog:
    """`commits`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._ends = _Ends()

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
        return await self._wire.read(lambda kept: _since(kept, stream, after)[:limit])

    async def above_block(self, stream: str, number: int) -> list[Commit]:
        return await self._wire.read(
            lambda kept: [
                commit
                for commit in _of(kept, stream)
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
            if stream not in self._ends.of(kept.commits):
                return None
            return next(commit.first_seq for commit in kept.commits if commit.stream == stream)

        return await self._wire.read(look)

    async def last_seq(self, stream: str) -> int:
        return (await self.positions()).get(stream, 0)

    async def positions(self) -> dict[str, int]:
        """Linearizable, as the real one asks: a primary that is cut off cannot answer, as it could not write."""
        return await self._wire.write(lambda kept: self._ends.of(kept.commits))


class SimCheckpoints:
    """`checkpoints`: two halves, each written on its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def load(self, stream: str) -> StoredCheckpoint | None:
        return await self._wire.read(lambda kept: kept.checkpoints.get(stream))

    async def follow(self, stream: str, heads: Sequence[Head], mark: Mark) -> None:
        if not heads:
            return
        taken = replace(mark, trail=dict(mark.trail))

        def update(kept: Kept) -> None:
            stored = kept.checkpoints.get(stream, StoredCheckpoint())
            mark = replace(taken, watch=taken.watch or stored.mark.watch)
            kept.checkpoints[stream] = replace(stored, heads=tuple(heads), mark=mark)

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


class _Ends:
    """Where each stream ends. Everybody asks, so only those commits are looked at that came since the last time."""

    def __init__(self) -> None:
        self._commits: list[Commit] = []
        self._seen = 0
        self._newest: Commit | None = None
        self._found: dict[str, int] = {}

    def of(self, commits: list[Commit]) -> dict[str, int]:
        before = commits[self._seen - 1] if 0 < self._seen <= len(commits) else None
        if commits is not self._commits or self._newest is not before:
            self._commits, self._seen, self._found = commits, 0, {}
        for commit in commits[self._seen :]:
            self._found[commit.stream] = commit.last_seq
        self._seen, self._newest = len(commits), commits[-1] if commits else None
        return dict(self._found)


def _of(kept: Kept, stream: str) -> list[Commit]:
    """In their order: no number of a stream is written before the one below it."""
    return [commit for commit in kept.commits if commit.stream == stream]


def _since(kept: Kept, stream: str, after: int) -> list[Commit]:
    """From the newest down, since most ask for what is new."""
    found = []
    for commit in reversed(kept.commits):
        if commit.stream == stream:
            if commit.last_seq <= after:
                break
            found.append(commit)
    return found[::-1]
