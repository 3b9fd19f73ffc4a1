"""What a record changed, where only the store knows the one below it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.domain.recording.records import Projection, RecordKey, fold
from indexer.domain.recording.uncounted import counted, uncounted
from indexer.domain.telling.commits import Commit
from tests.domain.accounts.builders import TIME
from tests.domain.samples import block_at, holding, updated

KEY = RecordKey(1, holding(), 10)


def projected(*numbers: int) -> Projection:
    """Of each block a record that holds its number, and of block 10 one that does not know the one before."""
    facts = [updated(number, number, previous=0) for number in numbers]
    return fold([Commit("commit", "chain:1", 1, TIME, (*facts, updated(10, 10)))])


def test_only_those_that_do_not_know_the_one_before_are_asked_for() -> None:
    assert uncounted(projected(8)) == (KEY,)


@pytest.mark.parametrize(
    ("written", "stored", "change"),
    [((), 5, 5), ((8,), 5, 2), ((8,), 9, 1), ((6, 8), 7, 2), ((8, 12), None, 2)],
)
def test_a_change_counts_from_the_nearest_record_below_stored_or_written_with_it(
    written: tuple[int, ...], stored: int | None, change: int
) -> None:
    projection = projected(*written)
    record = projection.records[KEY]
    below = {} if stored is None else {KEY: replace(record, balance=stored, block=block_at(stored))}
    assert counted(projection, below)[KEY].change == change


def test_the_oldest_of_all_changed_nothing() -> None:
    (record,) = counted(projected(), {}).values()
    assert (record.cause, record.change) == ("first", None)
