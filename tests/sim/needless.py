"""What must not be told at all: a retraction where nothing was orphaned, however the nodes contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from indexer.domain.telling.facts import BalanceReverted, StreamResync
from tests.sim.store import Kept


def told_needlessly(kept: Kept) -> Iterator[str]:
    """For a story without a reorg: a node that lags, syncs from zero, or hides behind another is none."""
    for commit in kept.commits:
        for fact in commit.facts:
            match fact:
                case BalanceReverted():
                    yield f"{fact.holding} was reverted to block {fact.block.number}, and there was no reorg"
                case StreamResync(above=int()):
                    yield f"history was cut ({fact.reason}), and there was no reorg"
                case _:
                    pass
