"""Where logs and reads say different things, and where that means nothing."""

from __future__ import annotations

from indexer.domain.chain import NATIVE
from indexer.domain.history.backfill import Change
from indexer.domain.history.mismatches import MOST_SPANS, Span
from indexer.domain.history.walks import Walk
from tests.domain.samples import USDC, block_at, holding, transfer, wallet


def _change(number: int, delta: int, read: int | None) -> Change:
    return Change(holding(0, USDC), block_at(number), delta, read)


def _walk(*changes: Change, balance: int = 10, is_native: bool = False) -> Walk:
    walk = Walk(20, balance, is_native)
    for change in changes:
        walk.step(change)
    return walk


def test_a_walk_that_adds_up_is_not_doubted() -> None:
    walk = _walk(_change(20, 4, 10), _change(15, 6, 6))
    assert walk.doubted(5, 0, is_thorough=True) == ()


def test_a_read_that_logs_do_not_explain_is_doubted_from_above_it_up_to_the_read_above() -> None:
    walk = _walk(_change(20, 4, 10), _change(15, 1, 9), _change(12, 8, 8))
    assert walk.doubted(5, 0, is_thorough=True) == (Span(16, 20),)


def test_what_was_there_before_the_first_block_has_to_be_what_is_left() -> None:
    walk = _walk(_change(15, 4, 10))
    assert walk.doubted(5, 7, is_thorough=False) == (Span(5, 15),)


def test_nothing_was_there_before_the_first_block_of_all() -> None:
    assert _walk(_change(15, 4, 10)).doubted(0, None, is_thorough=False) == (Span(0, 15),)


def test_a_rest_that_nothing_contradicts_is_doubted_only_by_who_is_thorough() -> None:
    walk = _walk(_change(15, 4, None))
    assert walk.doubted(5, None, is_thorough=False) == ()
    assert walk.doubted(5, None, is_thorough=True) == (Span(5, 20),)


def test_more_than_there_was_is_doubted_though_the_end_fits() -> None:
    walk = _walk(_change(18, 13, None), _change(15, -3, None))
    assert walk.doubted(5, 0, is_thorough=False) == (Span(5, 20),)


def test_nothing_is_held_against_logs_of_which_one_does_not_say_how_much() -> None:
    untold = Change(holding(0, USDC), block_at(18), 0, None, (transfer(wallet(1), wallet(0), amount=None),))
    assert _walk(untold, _change(15, 4, 3)).doubted(5, 0, is_thorough=True) == (Span(5, 15),)


def test_natives_move_without_logs() -> None:
    native = Change(holding(0, NATIVE), block_at(15), 0, 3)
    assert _walk(native, is_native=True).doubted(0, 1, is_thorough=True) == ()


def test_a_token_whose_reads_always_differ_takes_little_memory() -> None:
    changes = [_change(number, 0, number) for number in range(1_000, 0, -1)]
    walk = Walk(2_000, 5_000)
    for change in changes:
        walk.step(change)
    spans = walk.doubted(0, 0, is_thorough=True)
    assert len(spans) == MOST_SPANS + 1
    assert (spans[0].last, spans[-2].first, walk.mismatches.differing) == (2_000, 2, 1_000)


def test_what_is_left_may_be_of_the_first_block_alone() -> None:
    walk = _walk(_change(5, 4, 10))
    assert walk.doubted(5, 7, is_thorough=False) == (Span(5, 5),)
    assert walk.doubted(6, 7, is_thorough=False) == ()
