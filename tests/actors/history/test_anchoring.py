"""Where a balance is known, while the records that say so are being replaced."""

from __future__ import annotations

from actors.history.anchoring import Anchorage
from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from indexer.domain.history.jobs import Anchor, Job
from indexer.domain.recording.records import BalanceRecord, record_of
from tests.actors.fakes import updated
from tests.sim.clock import play

OLD, NEW = record_of(updated(5, 7), 1), record_of(updated(31, 9, None), 2)
HOLDING = OLD.holding
JOB = Job("job", OLD.chain_id, 20, None, (HOLDING,))


class HalfDone:
    """A reorg's projection: the orphaned record is gone, and the one in its place comes after so many looks."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    async def oldest(self, chain_id: int, holding: Holding, above: int = -1) -> BalanceRecord | None:  # noqa: ARG002
        self._looks -= 1
        return NEW if self._looks < 0 else None

    async def newest_loose(self, chain_id: int, holding: Holding, above: int) -> None: ...

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord:  # noqa: ARG002
        return OLD


def found(looks: int) -> BalanceRecord:
    async def story() -> BalanceRecord:
        async def caught_up() -> None: ...

        anchorage = Anchorage(records=HalfDone(looks), caught_up=caught_up, due=tuple, watched=Watch)
        return (await anchorage.of(JOB))[HOLDING]

    return play(story())


class AllThere:
    """A first record below what was taken back, and one above that led on from it: it says what it changed."""

    async def oldest(self, chain_id: int, holding: Holding, above: int = -1) -> BalanceRecord | None:  # noqa: ARG002
        return next((record for record in (OLD, NEW) if record.block.number > above), None)

    async def newest_loose(self, chain_id: int, holding: Holding, above: int) -> BalanceRecord | None:  # noqa: ARG002
        return OLD if OLD.block.number > above else None

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord:  # noqa: ARG002
        return NEW if NEW.block.number <= number else OLD


def redone(anchor: int) -> BalanceRecord:
    """From block 3 on, in the place of a job that was walked back from that block."""
    job = Job("job", OLD.chain_id, 3, None, (HOLDING,), anchors={HOLDING: Anchor(anchor, 9, True)})

    async def story() -> BalanceRecord:
        async def caught_up() -> None: ...

        return (await Anchorage(records=AllThere(), caught_up=caught_up, due=tuple, watched=Watch).of(job))[HOLDING]

    return play(story())


def test_what_was_taken_back_is_walked_back_from_a_record_above_all_of_it() -> None:
    assert redone(anchor=20) == NEW
    assert redone(anchor=31) == NEW


def test_where_nothing_is_above_what_was_taken_back_it_ends_at_the_newest_record() -> None:
    assert redone(anchor=40) == NEW


def test_a_record_that_is_just_being_replaced_is_not_taken_for_none() -> None:
    assert found(looks=1) == NEW


def test_where_nothing_has_happened_since_the_first_block_that_is_found_at_the_second_look() -> None:
    assert found(looks=2) == OLD
