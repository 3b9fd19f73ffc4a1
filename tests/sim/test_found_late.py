"""What the oracle asks of natives that are read now and then: a record says where nobody could look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.domain.balances import Cause
from indexer.domain.chain import NATIVE, Holding
from indexer.domain.recording.records import HISTORY_SEQ, RecordKey
from tests.sim.clock import play
from tests.sim.faults import NONE
from tests.sim.oracle import violations
from tests.sim.run import Story


def _told(*, is_archive: bool = False) -> Story:
    """A calm story of blocks of which not every one is looked at; whether state could have been gone is only said."""
    for seed in range(50):
        story = Story(seed, blocks=40, faults=NONE, native_interval=7)
        story.fleet.is_archive = is_archive
        assert not play(story.tell()).violations
        if _natives(story):
            return story
    raise AssertionError("in no story of fifty did a balance change three times")


def _natives(story: Story) -> list[RecordKey]:
    """Three changes of one balance, each searched, one after the other."""
    changes: dict[Holding, list[RecordKey]] = {}
    for key, row in sorted(story.disk.kept.records.items()):
        if key.holding.token == NATIVE and row.change:
            changes.setdefault(key.holding, []).append(key)
    return next((keys[:3] for keys in changes.values() if len(keys) >= 3), [])


def _miss(story: Story, cause: Cause = "native", *, joined: bool = False, filled: bool = False) -> bool:
    """Whether the first of them is missed, where the next one counts from the one before it, with such a cause.

    `filled`: that one was not heard live, but filled in.
    """
    kept = story.disk.kept
    missing, following, _ = _natives(story)
    row, above = kept.records.pop(missing), kept.records[following]
    assert row.change is not None
    assert above.change is not None
    seq = HISTORY_SEQ if filled else above.seq
    kept.records[following] = replace(above, change=row.change + above.change, cause=cause, joined=joined, seq=seq)
    found = list(violations(story.evidence()))
    assert not any("does not follow" in line for line in found)
    return any("no record says so" in line for line in found)


def test_a_change_that_was_searched_has_a_record() -> None:
    assert _miss(_told())


@pytest.mark.parametrize("filled", [False, True], ids=["heard", "filled in"])
@pytest.mark.parametrize("cause", ["sync", "refresh"])
def test_without_state_the_next_record_says_that_nobody_could_look(cause: Cause, *, filled: bool) -> None:
    assert not _miss(_told(), cause, filled=filled)


def test_one_below_which_all_blocks_were_read_says_nothing_of_the_kind() -> None:
    assert _miss(_told(), "sync", joined=True)


def test_nor_does_any_where_every_node_has_all_state() -> None:
    assert _miss(_told(is_archive=True), "sync")


def test_what_a_resync_found_is_placed_by_nobody_whose_last_reading_is_from_before() -> None:
    assert not _miss(_told(is_archive=True), "resync")


@pytest.mark.parametrize("filled", [False, True], ids=["heard", "filled in"])
def test_nor_does_one_above_the_next(*, filled: bool) -> None:
    story = _told()
    *_, higher = _natives(story)
    story.disk.kept.records[higher] = replace(story.disk.kept.records[higher], cause="sync")
    assert _miss(story, filled=filled)
