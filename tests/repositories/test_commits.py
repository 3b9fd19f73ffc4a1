"""The commit log: durable, dense, and fenced by its own unique key."""

from __future__ import annotations

import pytest

from indexer.errors import Fenced
from repositories.store import Store
from tests.repositories.samples import commit_at, stale


async def test_what_was_appended_comes_back_exactly(store: Store) -> None:
    commit = commit_at(5, seq=1, count=3)
    await store.commits.append(commit)
    assert await store.commits.since("chain:1", 0, 10) == [commit]


async def test_appending_the_same_commit_again_is_harmless(store: Store) -> None:
    commit = commit_at(5, seq=1)
    await store.commits.append(commit)
    await store.commits.append(commit)
    assert await store.commits.since("chain:1", 0, 10) == [commit]


async def test_another_writer_with_the_same_number_is_fenced(store: Store) -> None:
    await store.commits.append(commit_at(5, seq=1, commit_id="mine"))
    with pytest.raises(Fenced, match="number 1 of chain:1"):
        await store.commits.append(commit_at(5, seq=1, commit_id="theirs"))
    assert [commit.id for commit in await store.commits.since("chain:1", 0, 10)] == ["mine"]


async def test_many_commits_are_written_at_once_and_again_without_harm(store: Store) -> None:
    commits = [commit_at(4 + seq, seq=seq) for seq in range(1, 6)]
    await store.commits.append(commits[1 - 1])
    await store.commits.append_all(commits[:3])
    await store.commits.append_all(commits)
    await store.commits.append_all(commits)
    assert await store.commits.since("chain:1", 0, 10) == commits


async def test_of_many_commits_those_before_another_writers_are_written(store: Store) -> None:
    await store.commits.append(commit_at(5, seq=3, commit_id="theirs"))
    with pytest.raises(Fenced, match="number 3 of chain:1"):
        await store.commits.append_all([commit_at(4 + seq, seq=seq) for seq in range(1, 6)])
    assert [commit.id for commit in await store.commits.since("chain:1", 0, 10)] == ["commit-1", "commit-2", "theirs"]


async def test_an_id_that_was_used_for_another_commit_is_fenced(store: Store) -> None:
    await store.commits.append(commit_at(5, seq=1, commit_id="one"))
    with pytest.raises(Fenced):
        await store.commits.append(commit_at(6, seq=2, commit_id="one"))


async def test_streams_are_numbered_on_their_own(store: Store) -> None:
    await store.commits.append(commit_at(5, seq=1, count=2))
    await store.commits.append(commit_at(6, seq=3))
    await store.commits.append(stale(chain_id=7, seq=1))
    assert await store.commits.positions() == {"chain:1": 3, "chain:7": 1}
    assert await store.commits.last_seq("chain:1") == 3
    assert await store.commits.last_seq("chain:8") == 0
    assert await store.commits.first_seq("chain:1") == 1
    assert await store.commits.first_seq("chain:8") is None


async def test_since_begins_with_the_commit_that_holds_the_next_number(store: Store) -> None:
    first, second, third = commit_at(5, seq=1, count=3), commit_at(6, seq=4, count=3), commit_at(7, seq=7)
    for commit in (first, second, third):
        await store.commits.append(commit)
    assert await store.commits.since("chain:1", 2, 10) == [first, second, third]
    assert await store.commits.since("chain:1", 3, 10) == [second, third]
    assert await store.commits.since("chain:1", 3, 1) == [second]
    assert await store.commits.since("chain:1", 7, 10) == []
    assert await store.commits.since("chain:2", 0, 10) == []


async def test_commits_above_a_block_come_oldest_first(store: Store) -> None:
    commits = [commit_at(number, seq=seq) for seq, number in enumerate((5, 6, 9), 1)]
    for commit in (stale(chain_id=1, seq=4), *reversed(commits)):
        await store.commits.append(commit)
    assert await store.commits.above_block("chain:1", 5) == commits[1:]
    assert await store.commits.above_block("chain:1", 9) == []
