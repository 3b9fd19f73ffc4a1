"""Where a stream's writer keeps what it must know in its next life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from indexer.domain.chain import BlockRef, Head, Holding
from indexer.domain.following.finality import Settled
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.resuming.checkpoints import Mark
from indexer.domain.telling.commits import Commit


class CommitLog(Protocol):
    """The append-only log; `append` is safe to repeat and raises `Fenced` when another process writes the stream."""

    async def append(self, commit: Commit) -> None: ...

    async def append_all(self, commits: Sequence[Commit]) -> None: ...

    async def last_seq(self, stream: str) -> int: ...

    async def above_block(self, stream: str, number: int) -> list[Commit]: ...

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]: ...


class Followed(Protocol):
    """How far a stream was followed (the newest blocks, oldest first), and up to which number it is projected.

    `left` is the last number that was told before nobody followed it for a while.
    """

    @property
    def heads(self) -> tuple[Head, ...]: ...

    @property
    def projected(self) -> int: ...

    @property
    def mark(self) -> Mark: ...

    @property
    def left(self) -> int: ...


class Checkpoints(Protocol):
    """Where the newest blocks survive a restart."""

    async def load(self, stream: str) -> Followed | None: ...

    async def follow(self, stream: str, heads: Sequence[Head], mark: Mark) -> None: ...


class Books(Protocol):
    """The current balances as of the last projection."""

    async def balances_of(self, chain_id: int) -> dict[Holding, BalanceRecord]: ...

    async def block_at_or_below(self, chain_id: int, number: int, *, heard: bool = False) -> BlockRef | None: ...

    async def settled(self, chain_id: int) -> Settled: ...
