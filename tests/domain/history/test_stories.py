"""History while it is told: no change is left out, wherever it begins."""

from __future__ import annotations

from indexer.domain.chain import BlockRef, Holding
from indexer.domain.history.backfill import Change
from indexer.domain.history.jobs import Anchor, Job
from indexer.domain.history.stories import Depths, Stories, Story
from indexer.domain.history.walks import Teller
from tests.repositories.samples import USDC, head_at, solver_at

HOLDING = Holding(USDC, solver_at(1))
FIRST, ANCHOR = 5, 9


def _told() -> list[tuple[int, int, int | None]]:
    """5 before block 5, nothing after it, 3 after block 6; state can be read everywhere."""
    job = Job("job", 1, FIRST, None, (HOLDING,), anchors={HOLDING: Anchor(ANCHOR, 3, True)})
    teller = Teller(ANCHOR, ANCHOR - 1, is_proven=True, held=5, is_first=False)
    stories = Stories(job, Depths(0, 0, 0), {}, each={HOLDING: Story(teller, FIRST - 1)})
    stories.open(HOLDING, head_at(FIRST).ref, 0)
    for block, delta, read in ((head_at(5).ref, -5, 0), (head_at(6).ref, 3, 3)):
        stories.take(_change(block, delta, read))
    return [(row.block.number, row.balance, row.change) for fact in stories.due(8) for row in fact.rows]


def _change(block: BlockRef, delta: int, read: int) -> Change:
    return Change(HOLDING, block, delta, read)


def test_history_that_goes_on_from_an_older_record_tells_the_change_in_its_first_block() -> None:
    assert _told() == [(5, 0, -5), (6, 3, 3)]


def test_a_record_above_changes_that_cannot_be_read_claims_no_explanation() -> None:
    teller = Teller(ANCHOR, ANCHOR - 1, is_proven=False, held=5, is_first=False)
    assert teller.row(Change(HOLDING, head_at(5).ref, -5, None), "latest") is None
    row = teller.row(_change(head_at(6).ref, 3, 3), "latest")
    assert row is not None
    assert (row.change, row.unexplained) == (-2, None)
