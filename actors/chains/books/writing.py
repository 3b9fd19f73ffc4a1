"""How commits get into the log, and are told from then on: each by itself, or those of many blocks together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from actors.chains.books.memory import CommitLog
from actors.finishing import Finisher
from actors.patience import until_taken
from indexer.domain.balances import BalanceUpdated
from indexer.domain.telling.commits import Commit, with_replacements
from indexer.errors import StoreUnavailable

COMMIT_FACTS = 5_000
"""About 3 MB, and 10 MB more where each has seven logs; a document holds 16 MB at most."""


class Writer:
    """One stream's way into the store; it waits for a store that is away, and says so."""

    def __init__(
        self,
        *,
        stream: str,
        commits: CommitLog,
        finisher: Finisher,
        publish: Callable[[Commit], None],
        prepare: Callable[[Commit], None],
        written: Callable[[float], None],
        counted: Callable[[int, int], None],
    ) -> None:
        self.has_written = False
        """Nothing that an earlier life wrote can come in between any more."""
        self.error: str | None = None
        """Why the store did not take what was to be written last."""
        self.held_up: Callable[[], None] = lambda: None
        """Called each time that the store did not take it, and while it says nothing."""
        self._stream = stream
        self._commits = commits
        self._finisher = finisher
        self._publish = publish
        self._prepare = prepare
        self._written = written
        self._counted = counted
        self._held: list[Commit] | None = None

    async def write(self, commit: Commit, taken_over: Callable[[Commit], None]) -> None:
        """Write it, have it taken over, and tell it; while commits are written together, it is taken over at once."""
        if self._held is None:
            await self._append((commit,))
            taken_over(commit)
            self._tell(commit)
            await _whoever_tells()
        else:
            taken_over(commit)
            self._held.append(commit)
            if sum(held.weight for held in self._held) >= COMMIT_FACTS:
                await self.write_held()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Commits of many blocks in one write: each alone waits for the journal, which took two thirds of a catch-up.

        What was made until something fails is written; when we are to stop, it is looked at again by the next life.
        """
        if self._held is not None:
            yield
            return
        self._held = []
        try:
            yield
        except asyncio.CancelledError:
            self._held.clear()
            raise
        finally:
            try:
                while self._held:
                    await self.write_held()
            finally:
                self._held = None

    async def write_held(self) -> None:
        """What waits to be written together, at once."""
        held = with_replacements(self._held or (), COMMIT_FACTS)
        if not held:
            return
        self._held = []
        await self._append(held)
        for commit in held:
            self._tell(commit)
        await _whoever_tells()

    async def _append(self, commits: Sequence[Commit]) -> None:
        """The same commits until the store takes them: only so is an unanswered write not written twice."""
        started = time.perf_counter()
        try:
            if len(commits) == 1:
                asyncio.get_running_loop().call_soon(self._prepare, commits[0])  # while the store works
                await self.until_taken(lambda: self._commits.append(commits[0]))
            else:
                await self.until_taken(lambda: self._commits.append_all(commits))
        except asyncio.CancelledError:
            self._finisher.left(commits)
            raise
        self.has_written = True
        self._written(time.perf_counter() - started)

    def _tell(self, commit: Commit) -> None:
        self._counted(sum(isinstance(fact, BalanceUpdated) for fact in commit.facts), len(commit.facts))
        self._publish(commit)

    async def until_taken(self, write: Callable[[], Awaitable[None]]) -> None:
        """Told once when the store does not take it, and once when it does."""
        await until_taken(self._stream, write, self._hold_up)
        self.error = None

    def _hold_up(self, reason: str | None, _since: float) -> None:
        self.error = None if reason is None else f"a write waits for the store: {reason}"
        if reason is not None:
            self.held_up()

    async def if_taken(self, write: Callable[[], Awaitable[None]]) -> None:
        """Once, where late or lost is harmless: an ill store is no reason to wait then."""
        try:
            await write()
        except StoreUnavailable as error:
            self.error = repr(error)


async def _whoever_tells() -> None:
    """Has its turn before us: what we do next (status, metrics, a line of the log) takes 0.5 ms, and clients wait.

    One turn of the loop to tell it, and another one so that ours is not the same: uvloop sends what was written at the
    end of a turn, when everybody else in it is done.
    """
    for _ in range(2):
        await asyncio.sleep(0)
