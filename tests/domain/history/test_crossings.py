"""History that is walked back from above records that are there already has to pass through them."""

from __future__ import annotations

from dataclasses import replace

from indexer.domain.chain import Holding, Transfer, TxHash
from indexer.domain.history.backfill import Chunk, Moved, changes_of
from indexer.domain.history.crossings import Crossed, through
from indexer.domain.history.jobs import Anchor, Job
from indexer.domain.history.stories import Depths, Stories, Story
from indexer.domain.history.walks import Teller, Walk, walked
from indexer.domain.recording.records import BalanceRecord, record_of
from indexer.domain.telling.facts import HistoryFilled
from tests.repositories.samples import USDC, block_hash, head_at, solver_at, updated

HOLDING = Holding(USDC, solver_at(1))
FIRST, THERE, ANCHOR = 5, 14, 29
RECORD = record_of(updated(THERE, solver=1, balance=31, previous=None), 31)
"""Read first of all; 28 before, and what moved 3 since left no log."""


def _chunk(*logs: tuple[int, int, int | None]) -> Chunk:
    """What came in by each block, and what was read there."""
    moved = tuple(Moved(head_at(number).ref, _log(number, amount)) for number, amount, _ in logs)
    return Chunk(FIRST, ANCHOR, moved, {number: {HOLDING: read} for number, _, read in logs if read is not None})


def _log(number: int, amount: int) -> Transfer:
    return Transfer(USDC, solver_at(9), solver_at(1), amount, block_hash(number), _hash(number), 0, number)


def _hash(number: int) -> TxHash:
    return TxHash(block_hash(number, "f"))


def _told(
    chunk: Chunk,
    record: BalanceRecord | None = None,
    *,
    held: int = 28,
    is_proven: bool = False,
    unread: int | None = None,
    change: int | None = None,
) -> list[HistoryFilled]:
    """All that is told from a record of block 29, which says that it made that change, down to block 5."""
    anchor = Anchor(ANCHOR, 31, is_open=change is None, change=change)
    job = Job("job", 1, FIRST, None, (HOLDING,), anchors={HOLDING: anchor}, unread=unread)
    teller = Teller(ANCHOR, ANCHOR - 1, is_proven=is_proven, held=held, is_first=False)
    stories = Stories(job, Depths(0, 0, 0), {}, each={HOLDING: Story(teller, FIRST - 1)})
    crossed = stories.cross({} if record is None else {HOLDING: [record]})
    for each in through(chunk, changes_of(chunk, frozenset({HOLDING})), crossed):
        stories.take(each)
    return stories.endings([HOLDING], {HOLDING: None})


def _rows(facts: list[HistoryFilled]) -> list[tuple[int, int, int | None]]:
    return [(row.block.number, row.balance, row.change) for fact in facts for row in fact.rows]


def _joints(facts: list[HistoryFilled]) -> list[tuple[int, int, int, int | None]]:
    return [
        (fact.last, fact.joint.number, fact.joint.change, fact.joint.unexplained)
        for fact in facts
        if fact.joint is not None
    ]


def test_history_goes_on_from_a_record_in_the_midst_of_what_is_told() -> None:
    """Block 17 changed nothing since that record, whatever was before it."""
    facts = _told(_chunk((17, 0, 31), (20, 4, 35)), RECORD)
    assert _rows(facts) == [(20, 35, 4)]


def test_a_record_in_the_midst_that_was_the_first_is_told_what_it_changed() -> None:
    facts = _told(_chunk((10, 1, 29)), RECORD)
    assert _rows(facts) == [(10, 29, 1)]
    assert _joints(facts) == [(THERE - 1, THERE, 2, 2), (ANCHOR - 1, ANCHOR, 0, 0)]
    assert [(fact.first, fact.last) for fact in facts] == [(FIRST, THERE - 1), (THERE, ANCHOR - 1)]


def test_what_happened_in_its_own_block_is_among_that() -> None:
    facts = _told(_chunk((THERE, 2, None)), RECORD)
    assert _rows(facts) == []
    assert _joints(facts)[0] == (THERE - 1, THERE, 3, 1)
    assert facts[0].joint is not None
    assert facts[0].joint.transactions == (_hash(THERE),)


def test_a_record_in_the_midst_that_knows_what_it_changed_is_left_as_it_is() -> None:
    facts = _told(_chunk((17, 0, 31)), replace(RECORD, cause="refresh", change=3))
    assert _rows(facts) == []
    assert _joints(facts) == [(ANCHOR - 1, ANCHOR, 0, 0)]


def test_a_record_in_the_midst_that_refers_to_another_one_than_is_below_it_now_is_told_anew() -> None:
    """It was found by reading, after a time in which nobody looked: what is filled in counts only once."""
    facts = _told(_chunk((10, -1, 27), (12, 3, 30)), replace(RECORD, cause="sync", change=3))
    assert _rows(facts) == [(10, 27, -1), (12, 30, 3)]
    assert _joints(facts) == [(THERE - 1, THERE, 1, 1), (ANCHOR - 1, ANCHOR, 0, 0)]


def test_so_is_the_record_above_all_that_is_filled_in() -> None:
    facts = _told(_chunk((10, -1, 27), (ANCHOR, 4, 31)), change=3)
    assert _joints(facts) == [(ANCHOR - 1, ANCHOR, 4, 0)]


def test_one_that_refers_to_the_record_below_it_is_left_as_it_is() -> None:
    facts = _told(_chunk((10, -1, 27), (ANCHOR, 4, 31)), change=4)
    assert _joints(facts) == []


def test_what_cannot_be_told_below_a_record_says_nothing_of_its_change() -> None:
    """What was heard live stands there all the same."""
    facts = _told(_chunk((10, -1, None), (20, 2, None)), change=2)
    assert _rows(facts) == []
    assert _joints(facts) == []


def test_below_where_state_begins_history_goes_on_from_the_newest_record_of_all() -> None:
    facts = _told(_chunk((20, 4, 35)), RECORD, held=33, unread=18)
    assert _rows(facts) == [(20, 35, 2)]
    assert _joints(facts) == [(ANCHOR - 1, ANCHOR, -4, -4)]


def test_what_was_told_before_a_restart_is_not_told_again() -> None:
    """The record that history begins with lies in the midst by then."""
    job = Job("job", 1, FIRST, None, (HOLDING,), anchors={HOLDING: Anchor(ANCHOR, 31, False)})
    teller = Teller(ANCHOR, ANCHOR - 1, is_proven=False, held=0)
    stories = Stories(job, Depths(0, 0, 0), {}, each={HOLDING: Story(teller, told=THERE)})
    crossed: Crossed = stories.cross({HOLDING: [RECORD]})
    chunk = _chunk((THERE, 31, 31), (20, 4, 35))
    for change in through(chunk, changes_of(chunk, frozenset({HOLDING})), crossed):
        stories.take(change)
    (fact,) = stories.endings([HOLDING], {HOLDING: None})
    assert (fact.first, _rows([fact])) == (THERE + 1, [(20, 35, 4)])


def _walk(chunk: Chunk) -> Walk:
    walks = walked({HOLDING: Anchor(ANCHOR, 31, True)}, ())
    for change in reversed(through(chunk, changes_of(chunk, frozenset({HOLDING})), {HOLDING: [RECORD]})):
        walks[HOLDING].step(change)
    walks[HOLDING].finish(FIRST, None)
    return walks[HOLDING]


def test_what_is_derived_has_to_agree_with_a_record_in_the_midst() -> None:
    assert _walk(_chunk((10, 31, None))).is_proven
    assert _walk(_chunk((10, 28, None), (17, 3, None))).reason == "at block 14 it was 31, its transfers say 28"


def test_where_a_record_was_read_nothing_is_derived() -> None:
    assert _walk(_chunk((THERE, 2, None))).derived == 0
