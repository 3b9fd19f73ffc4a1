"""Where a chain's stream goes on after a restart."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from indexer.domain.chain import Head
from indexer.domain.resuming.checkpoints import Mark
from indexer.domain.resuming.natives import NativeReadings
from indexer.domain.resuming.recovery import continued, ends_stale, natives_read_at
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import (
    BalanceReverted,
    Checkpoint,
    Fact,
    Orphaned,
    StreamLive,
    StreamResync,
    StreamStale,
)
from tests.domain.samples import INFO, block_at, block_hash, head_at, holding, updated

STORED = tuple(head_at(number) for number in range(1, 6))


def commit(head: Head | None, *facts: Fact) -> Commit:
    return Commit("id", "chain:1", 1, datetime(2026, 11, 21, tzinfo=UTC), facts, Checkpoint(head) if head else None)


def reverted(ancestor: int) -> BalanceReverted:
    orphaned = (Orphaned(ancestor + 1, block_hash(ancestor + 1), 7),)
    return BalanceReverted(1, holding(), 7, 5, block_at(ancestor), INFO, orphaned)


def test_newer_commits_go_on_top_of_the_stored_blocks_and_holes_between_them_are_no_harm() -> None:
    assert continued(STORED, [commit(head_at(9), updated(9, 7))]) == (*STORED, head_at(9))


def test_a_commit_of_a_block_that_is_stored_already_says_nothing_new() -> None:
    assert continued(STORED, [commit(head_at(3), updated(3, 7))]) == STORED


def test_a_commit_of_another_branch_cuts_what_it_replaces() -> None:
    assert continued(STORED, [commit(head_at(4, "b", "a"), updated(4, 7))]) == (*STORED[:3], head_at(4, "b", "a"))


def test_a_reorg_cuts_above_the_common_ancestor() -> None:
    assert continued(STORED, [commit(head_at(2), reverted(2))]) == STORED[:2]


def test_a_resync_cuts_where_history_was_cut() -> None:
    new = head_at(9, "b")
    assert continued(STORED, [commit(new, StreamResync(1, "deep", new.ref, 1))]) == (head_at(1), new)


def test_a_part_without_checkpoint_is_not_followed() -> None:
    assert continued(STORED, [commit(None, updated(9, 7))]) == STORED


@pytest.mark.parametrize(
    ("mark", "ancestor", "newest"),
    [
        (Mark(natives=4), 5, 4),
        (Mark(), 5, 5),
        (Mark(natives=4, natives_before=(2, 3)), 3, 3),
        (Mark(natives=5, natives_before=(1, 2)), 4, 2),
        (Mark(natives=4), 2, 1),
    ],
)
def test_natives_that_were_read_on_another_branch_count_from_the_last_reading_below(
    mark: Mark, ancestor: int, newest: int
) -> None:
    later = [commit(head_at(ancestor), reverted(ancestor))] if ancestor < 5 else []
    assert natives_read_at(mark, STORED, STORED[:ancestor], later).newest == newest


def test_natives_were_never_read_where_nothing_was_stored() -> None:
    assert natives_read_at(Mark(natives=4), (), (), ()).newest == 0


def test_of_older_readings_those_are_kept_that_a_reorg_may_go_back_to() -> None:
    read = NativeReadings()
    for number in (10, 20, 30, 40):
        read = read.at(number, number - 15)
    assert read.blocks == (30, 40)


def test_the_newest_word_says_whether_a_chain_is_stale() -> None:
    stale, live = commit(None, StreamStale(1, "no node", 2)), commit(None, StreamLive(1, "the node is back", 3))
    assert ends_stale([live, stale, commit(head_at(3), updated(3, 7))])
    assert not ends_stale([stale, live])
    assert not ends_stale(())
