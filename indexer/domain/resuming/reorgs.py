"""What a reorg takes back, and what holds instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, BlockRef, Head, Holding
from indexer.domain.following.headchain import HeadChain
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Fact, Orphaned


def common_ancestor(known: HeadChain, canonical: Sequence[Head]) -> Head | None:
    """The highest of our blocks that the node's canonical chain (by number) has as well."""
    hashes = {head.hash for head in canonical}
    return next((head for head in reversed(known.heads) if head.hash in hashes), None)


def replaced(known: HeadChain, head: Head) -> Head | None:
    """The block of ours that `head` sits on, where it takes the place of our newest block and of no other."""
    tip, parent = known.tip, known.find(head.parent)
    if tip is None or parent is None or not tip.number == head.number == parent.number + 1:
        return None
    return parent


def affected(orphaned: Sequence[BalanceUpdated]) -> frozenset[Holding]:
    """The balances that had records in orphaned blocks."""
    return frozenset(update.holding for update in orphaned)


def reverts(
    orphaned: Sequence[BalanceUpdated],
    balances: Mapping[Holding, int],
    at_ancestor: Mapping[Holding, int],
    ancestor: BlockRef,
) -> tuple[BalanceReverted, ...]:
    """One retraction per balance; `orphaned` are the updates above the ancestor in the order they were told."""
    rows: dict[Holding, list[BalanceUpdated]] = {}
    for update in orphaned:
        rows.setdefault(update.holding, []).append(update)
    return tuple(
        BalanceReverted(
            chain_id=rows[holding][0].chain_id,
            holding=holding,
            previous=balances[holding],
            balance=at_ancestor[holding],
            block=ancestor,
            info=rows[holding][-1].info,
            orphaned=tuple(
                Orphaned(row.block.number, row.block.hash, row.balance)
                for row in sorted(rows[holding], key=lambda row: -row.block.number)
            ),
            anchor=rows[holding][0].previous != at_ancestor[holding],
        )
        for holding in sorted(rows)
    )


def leaving(facts: Sequence[BalanceReverted], heads: Sequence[Head]) -> tuple[BalanceReverted, ...]:
    """The same, and which blocks the reorg left: of some there may be records that were filled in, and no others."""
    if not facts:
        return ()
    left = tuple((head.number, head.hash) for head in heads)
    return replace(facts[0], left=left), *facts[1:]


def left_unread(orphaned: Sequence[BalanceUpdated], facts: Sequence[Fact]) -> frozenset[Holding]:
    """The balances whose oldest orphaned record was found by reading, of those that get none at the ancestor."""
    return frozenset(update.holding for update in _found_by_reading(orphaned, facts))


def left_doubtful(orphaned: Sequence[BalanceUpdated], facts: Sequence[Fact]) -> frozenset[Holding]:
    """Those among them that were not known all along until then: not watched, or not read when logs told of them."""
    return frozenset(
        update.holding for update in _found_by_reading(orphaned, facts) if update.apart or _is_late(update)
    )


def doubtful_after(
    commit: Commit, before: frozenset[Holding], above: Callable[[int], Sequence[BalanceUpdated]]
) -> frozenset[Holding]:
    """Those that were so `before`, or that this leaves so, but for those of which it tells a new record.

    It takes back updates `above` its ancestor: the record before holds again, and must not be taken to.
    """
    taken_back = () if commit.ancestor is None else above(commit.ancestor)
    doubtful = before | left_doubtful(taken_back, commit.facts) if taken_back else before
    if not doubtful:
        return doubtful
    return doubtful - {fact.holding for fact in commit.facts if isinstance(fact, BalanceUpdated)}


def _found_by_reading(orphaned: Sequence[BalanceUpdated], facts: Sequence[Fact]) -> list[BalanceUpdated]:
    oldest = {update.holding: update for update in reversed(orphaned) if not _is_told_again(update)}
    left = {fact.holding for fact in facts if isinstance(fact, BalanceReverted) and not fact.anchor}
    return [
        update for holding, update in oldest.items() if holding in left and (update.apart or update.cause == "sync")
    ]


def _is_late(update: BalanceUpdated) -> bool:
    """Logs of blocks before its own lead to it, as far as they are known."""
    if update.holding.token == NATIVE:
        return False
    return update.unexplained is None or any(log.block_number < update.block.number for log in update.transfers)


def _is_told_again(update: BalanceUpdated) -> bool:
    """With another name and nothing else: it held before, and whoever looked saw it."""
    return update.cause == "sync" and update.change == 0 and not update.apart
