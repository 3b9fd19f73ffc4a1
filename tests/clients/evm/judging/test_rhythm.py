"""How often a chain makes a block, as it is heard."""

from __future__ import annotations

from indexer.clients.evm.judging.rhythm import Expected, Rhythm
from indexer.domain.chain import BlockHash, Head


def block(number: int, seconds: float = 1.0) -> Head:
    """Of a chain that makes one in so many seconds."""
    return Head(number, BlockHash(f"0x{number:064x}"), BlockHash("0x"), int(number * seconds))


def test_the_rhythm_is_the_median_of_what_was_heard() -> None:
    rhythm = Rhythm()
    assert rhythm.silence_seconds == 3.0
    for index, number in enumerate([1, 2, 3, 4, 6, 7]):
        rhythm.heard(block(number), 12.0 * index)
    assert rhythm.block_seconds == 12.0
    assert rhythm.silence_seconds == 36.0
    assert rhythm.doubt_seconds == 21.0
    assert rhythm.again_seconds == 12.0
    assert rhythm.expected == Expected(3.0, late_seconds=12.3, still_seconds=21.0)
    assert rhythm.poll_seconds == 3.0
    for number in range(8, 40):
        rhythm.heard(block(number), 100 + number * 0.2)
    assert rhythm.silence_seconds == 3.0
    assert rhythm.doubt_seconds == 2.25
    assert rhythm.again_seconds == 1.0
    assert rhythm.poll_seconds == 0.25


def test_blocks_that_are_heard_of_all_at_once_were_not_made_so() -> None:
    """Else a chain that is heard of twice, from who lags and who does not, would never be called behind."""
    rhythm = Rhythm()
    rhythm.heard(block(13, 12.0), 0.0)
    rhythm.heard(block(22, 12.0), 0.002)
    assert 11 < rhythm.block_seconds < 12
    assert round(rhythm.behind_blocks) == 3


def test_where_many_blocks_have_one_time_they_are_as_fast_as_they_are_heard() -> None:
    rhythm = Rhythm()
    for place in range(10):
        rhythm.heard(block(place * 5, 0.01), place * 0.05)
    assert round(rhythm.block_seconds, 6) == 0.01
    assert round(rhythm.behind_blocks) == 300


def test_a_block_of_an_older_branch_says_nothing() -> None:
    rhythm = Rhythm()
    rhythm.heard(block(13), 0.0)
    rhythm.heard(block(12), 5.0)
    rhythm.heard(block(14), 9.0)
    assert rhythm.block_seconds == 9.0
