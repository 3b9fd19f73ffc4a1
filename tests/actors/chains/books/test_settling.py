"""Which block with records got settled last: by memory where it is whole, by history where that is older."""

from __future__ import annotations

import pytest

from actors.chains.books import settling as module
from actors.chains.books.settling import Settling
from indexer.domain.chain import BlockRef, TokenInfo
from indexer.domain.following.finality import Settled
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import ChainFinalized, Confirmed, Fact, StreamResync
from tests.actors.fakes import commit_of, head_at, holding, updated


class History:
    """The blocks that have rows, as of the last projection."""

    def __init__(self, *blocks: BlockRef) -> None:
        self.blocks = blocks

    async def at_or_below(self, number: int) -> BlockRef | None:
        return max((b for b in self.blocks if b.number <= number), key=lambda block: block.number, default=None)


def commit(*facts: Fact) -> Commit:
    return commit_of(1, *facts)


def resync(number: int, above: int) -> StreamResync:
    return StreamResync(1, "deep", head_at(number, "b").ref, above)


async def told(settling: Settling, safe: int) -> list[BlockRef]:
    return [fact.block for fact in await settling.advance(Settled(safe=safe)) if isinstance(fact, ChainFinalized)]


async def test_a_row_that_a_deep_reorg_took_back_and_history_still_shows_is_not_told() -> None:
    settling = Settling(1, History(head_at(7).ref, head_at(8).ref).at_or_below)
    settling.remember(commit(updated(30, 1)))
    settling.remember(commit(resync(39, 7)))
    assert await told(settling, 16) == [head_at(7).ref]


async def test_a_deep_reorg_before_anything_was_committed_hides_what_history_still_shows() -> None:
    settling = Settling(1, History(head_at(7).ref, head_at(8).ref).at_or_below)
    settling.remember(commit(resync(39, 7)))
    assert await told(settling, 16) == [head_at(7).ref]


async def test_what_lies_between_what_was_told_and_what_memory_begins_with_is_looked_up() -> None:
    settling = Settling(1, History(head_at(22).ref, head_at(25).ref).at_or_below)
    settling.remember(commit(updated(31, 1)))
    settling.remember(commit(resync(55, 25)))
    assert await told(settling, 23) == [head_at(22).ref]
    assert await told(settling, 33) == [head_at(25).ref]
    assert await told(settling, 34) == []


async def test_memory_is_bounded_and_history_knows_what_it_forgot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BLOCKS", 3)
    settling = Settling(1, History(*(head_at(number).ref for number in range(10, 15))).at_or_below)
    for number in range(10, 20):
        settling.remember(commit(updated(number, number)))
    assert await told(settling, 14) == [head_at(14).ref]
    assert await told(settling, 18) == [head_at(18).ref]


async def test_the_block_at_which_balances_were_confirmed_after_a_gap_is_told() -> None:
    settling = Settling(1, History().at_or_below)
    settling.remember(commit(updated(6, 1)))
    settling.remember(commit(StreamResync(1, "pruned", head_at(9).ref, None, (Confirmed(holding(), 1, TokenInfo()),))))
    assert await told(settling, 9) == [head_at(9).ref]


async def test_a_native_balance_that_was_searched_late_hides_no_record_above_it() -> None:
    """Block 10 had its records in an earlier life; this one begins with what block 18 showed of block 9."""
    settling = Settling(1, History(head_at(10).ref).at_or_below)
    settling.remember(commit_of(20, updated(9, 1), updated(18, 2), head=head_at(18)))
    assert await told(settling, 11) == [head_at(10).ref]
    assert await told(settling, 18) == [head_at(18).ref]


async def test_a_native_balance_that_was_searched_late_is_told_where_nothing_lies_above_it() -> None:
    settling = Settling(1, History().at_or_below)
    settling.remember(commit_of(20, updated(9, 1), head=head_at(18)))
    assert await told(settling, 11) == [head_at(9).ref]
