"""A log that holds a block of a year that no date can express, as earlier releases wrote it, is read like any other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.api.shapes import balance_json
from indexer.domain.recording.records import fold
from indexer.domain.resuming.checkpoints import Mark, StoredCheckpoint
from indexer.domain.telling.facts import Checkpoint
from repositories.store import Store
from tests.repositories.samples import commit_at, head_at, updated

END = "9999-12-31T23:59:59Z"


@pytest.mark.parametrize("seconds", [253_402_300_800, 1_790_000_000_000])
async def test_a_block_of_a_later_year_is_loaded_projected_and_served(store: Store, seconds: int) -> None:
    head = replace(head_at(5), timestamp=seconds)
    commit = replace(
        commit_at(5, seq=1), facts=(replace(updated(5, previous=None), block=head.ref),), checkpoint=Checkpoint(head)
    )
    await store.commits.append(commit)
    await store.checkpoints.follow("chain:1", (head,), Mark())
    (loaded,) = await store.commits.since("chain:1", 0, 10)
    assert loaded == commit
    assert await store.checkpoints.load("chain:1") == StoredCheckpoint((head,), 0)
    await store.balances.project(fold([loaded]))
    holding = updated(5).holding
    current, history = await store.balances.one(1, holding), await store.balances.history(1, holding, limit=10)
    assert current is not None
    assert [balance_json(record, 5)["timestamp"] for record in (current, *history)] == [END, END]
    assert (current.balance, current.block.number) == (7, 5)
