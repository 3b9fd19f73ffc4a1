"""A block's time is told whatever its chain said of it."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.chain import BlockRef
from indexer.domain.health.since import Since
from indexer.domain.health.status import StreamStatus
from indexer.domain.times import LAST_SECOND, block_time, time_text, unix_text
from tests.domain.samples import block_at

END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@given(st.integers(0, LAST_SECOND))
def test_a_second_that_a_date_can_express_is_that_date(seconds: int) -> None:
    assert block_time(seconds).timestamp() == seconds
    assert datetime.fromisoformat(unix_text(seconds)) == block_time(seconds)


@given(st.integers(LAST_SECOND, 2**256 - 1))
def test_any_later_one_is_the_end_of_the_year_9999(seconds: int) -> None:
    assert block_time(seconds) == END
    assert unix_text(seconds) == "9999-12-31T23:59:59Z"
    assert time_text(block_time(seconds)) == "9999-12-31T23:59:59.000Z"


def test_a_stream_s_word_goes_on_over_a_block_of_a_later_year() -> None:
    known = block_at(7)
    since = Since(seq=1, block=BlockRef(known.number, known.hash, 1_790_000_000_000))
    assert since.brought(StreamStatus(stream="chain:1", name="first")).block_time == END
