"""What was told of a stream since it said its newest word on itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import BlockRef
from indexer.domain.health.incidents import Incident
from indexer.domain.health.status import Reached, StreamStatus
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, StreamResync
from indexer.domain.times import block_time


@dataclass(frozen=True, slots=True)
class Since:
    """A stream speaks when it has handled a message, and tells events in the middle of it: these count meanwhile."""

    seq: int = 0
    block: BlockRef | None = None
    """Of the newest commit; there may be more to tell of it."""
    whole: int | None = None
    """The newest block of which all was told."""
    lowest: int | None = None
    """Of those: after a reorg the stream's own word is of a branch that is gone."""
    resync: Incident | None = None

    def and_told(self, commit: Commit) -> Since:
        """Looks at two facts at most: clients wait behind it."""
        first, last = commit.facts[0], commit.facts[-1]
        resync = self.resync
        if isinstance(first, StreamResync):
            resync = Incident(first.block.number, first.reason, commit.time)
        if commit.checkpoint is None:
            block = last.block if isinstance(last, BalanceUpdated | BalanceReverted | StreamResync) else self.block
            return replace(self, seq=commit.last_seq, block=block, resync=resync)
        head = commit.checkpoint.head
        reached = first.block.number if isinstance(first, BalanceReverted) else head.number
        lowest = reached if self.lowest is None else min(self.lowest, reached)
        return Since(commit.last_seq, head.ref, head.number, lowest, resync)

    def brought(self, status: StreamStatus) -> StreamStatus:
        """An older word with what was told since."""
        if self.block is None:
            return status
        is_newest = self.whole is not None and self.whole >= (status.newest_block or 0)
        known = status.block or 0
        return replace(
            status,
            block=self.block.number,
            block_time=block_time(self.block.timestamp),
            behind_since=None if is_newest else status.behind_since,
            incidents=status.incidents if self.resync is None else status.incidents._replace(resync=self.resync),
            reached=Reached(
                followed=status.block if self.whole is None else self.whole,
                sure=known if self.lowest is None else min(known, self.lowest),
            ),
        )
