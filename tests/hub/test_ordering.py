"""Thousands of rows in the order of their keys, in turns with everybody else."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from indexer.api.hub.ordering import PART, ordered
from tests.fixtures.turns import Turns


class Key(int):
    """One whose comparisons can be counted."""

    def __lt__(self, other: int) -> bool:
        return int(self) < int(other)


class Wish:
    """What is wanted; its questions can be counted."""

    def covers(self, key: int) -> bool:
        return key % 10 != 0


@given(st.lists(st.integers(0, 5_000), max_size=40), st.integers(0, 3 * PART))
async def test_rows_come_in_the_order_of_their_keys(loose: list[int], run: int) -> None:
    rows = {key: str(key) for key in [*range(run), *loose, *range(run, 0, -7)]}
    assert await ordered(rows, lambda key: key % 3 > 0) == [str(key) for key in sorted(rows) if key % 3]


async def test_rows_in_any_order_are_sorted_in_turns_with_the_others(turns: Turns) -> None:
    keys = [Key(number) for number in range(20_000)]
    Random(1).shuffle(keys)  # noqa: S311 - a script to replay, no secret
    turns.count(Key, "__lt__")
    assert await turns.during(ordered({key: int(key) for key in keys}, lambda _key: True)) == list(range(20_000))
    assert turns.longest <= 20 * PART


async def test_rows_in_order_are_not_sorted_again(turns: Turns) -> None:
    keys = [Key(number) for number in range(20_000)]
    turns.count(Key, "__lt__")
    assert await turns.during(ordered({key: int(key) for key in keys}, lambda _key: True)) == list(range(20_000))
    assert turns.done <= len(keys) + 20_000 // PART


async def test_rows_are_chosen_in_turns_with_the_others(turns: Turns) -> None:
    turns.count(Wish, "covers")
    wish = Wish()
    kept = await turns.during(ordered({key: key for key in range(20_000)}, wish.covers))
    assert len(kept) == 18_000
    assert turns.done == 20_000
    assert turns.longest <= PART
