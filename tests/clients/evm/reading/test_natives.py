from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.addresses import checksum
from indexer.clients.evm.reading.readings import Natives
from indexer.domain.chain import NATIVE, Holding

HOLDINGS = [Holding(NATIVE, checksum(f"0x{number:040x}")) for number in range(1, 4)]

amounts = st.lists(st.integers(0, 2**256 - 1), min_size=3, max_size=3)


@given(st.lists(amounts, min_size=1, max_size=6))
def test_every_answer_is_read_as_what_it_says_whatever_came_before(answers: list[list[int]]) -> None:
    natives = Natives(HOLDINGS)
    for answer in (*answers, *answers):
        raw = b"".join(amount.to_bytes(32) for amount in answer)
        assert natives.values(natives.holdings, raw) == dict(zip(natives.holdings, answer, strict=True))


def test_parts_do_not_take_each_others_answers() -> None:
    natives = Natives(HOLDINGS)
    first, second = natives.holdings[:1], natives.holdings[1:2]
    raw = (7).to_bytes(32)
    assert natives.values(first, raw) == {first[0]: 7}
    assert natives.values(second, raw) == {second[0]: 7}
