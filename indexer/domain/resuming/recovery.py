"""Where a chain's stream goes on after a restart, by its checkpoint and the commits that were made since."""

from __future__ import annotations

from collections.abc import Sequence

from indexer.domain.chain import Head
from indexer.domain.resuming.checkpoints import Mark
from indexer.domain.resuming.natives import NativeReadings
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import StreamLive, StreamResync, StreamStale


def continued(heads: Sequence[Head], later: Sequence[Commit]) -> tuple[Head, ...]:
    """The stored blocks and, on top, those of newer commits.

    There may be holes where blocks changed nothing; hashes are all that finding a common ancestor needs. A commit of
    another branch, and of a reorg, cuts; one of a block that is among them already says nothing new. `later` are
    those that were committed after these blocks were stored: an older one may have been of a branch that they replaced.
    """
    chain = list(heads)
    above: int | None = None
    for commit in later:
        cut = next((fact.above for fact in commit.facts if isinstance(fact, StreamResync)), commit.ancestor)
        above = cut if above is None else above if cut is None else min(above, cut)
        if commit.checkpoint is None:
            continue  # a part of what a later one ends: until that is there, nothing is followed that it says
        head = commit.checkpoint.head
        if above is not None:
            chain = [ours for ours in chain if ours.number <= above]
        above = None
        if head in chain and commit.ancestor is None:
            continue
        while chain and chain[-1].number >= head.number:
            chain.pop()
        chain.append(head)
    return tuple(chain)


def natives_read_at(
    mark: Mark, saved: Sequence[Head], known: Sequence[Head], later: Sequence[Commit]
) -> NativeReadings:
    """The blocks at which all native balances were read, as far as that still counts.

    What was read above the ancestor of a reorg that was told since (`later`) was read on another branch.
    """
    if not saved:
        return NativeReadings()  # killed before anything was saved
    ancestors = [commit.ancestor for commit in later if commit.ancestor is not None]
    newest = saved[-1].number if mark.natives is None else mark.natives
    read = NativeReadings((*mark.natives_before, newest) if newest else ())
    return read.cut(min((*ancestors, known[-1].number)), known[0].number)


def ends_stale(commits: Sequence[Commit]) -> bool:
    """By the newest word on it: nothing but a refresh is committed while a chain is stale."""
    words = (fact for commit in reversed(commits) for fact in reversed(commit.facts))
    return isinstance(next((fact for fact in words if isinstance(fact, StreamStale | StreamLive)), None), StreamStale)
