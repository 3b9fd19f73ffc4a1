"""When an account looks around."""

from __future__ import annotations

import asyncio

import pytest

from actors.accounts.lookout import LONGEST_SECONDS, SHORTEST_SECONDS, Lookout
from indexer.domain.beat import BEAT_SECONDS
from tests.sim.clock import play

FAR = 1_000_000.0


async def _looks(*moments: float, every: float = 0.0) -> list[float]:
    """At which seconds it looked, when these were named, one after the other."""
    loop = asyncio.get_running_loop()
    began, looked = loop.time(), list[float]()
    lookout = Lookout(lambda: looked.append(round(loop.time() - began, 2)))
    for moment in moments:
        lookout.by(began + moment)
        await asyncio.sleep(every)
    await asyncio.sleep(LONGEST_SECONDS + 5)
    return looked


def test_it_looks_once_when_the_next_thing_is_due_by_what_was_said_last() -> None:
    assert play(_looks(2, 1)) == [1]
    assert play(_looks(1, 2)) == [2]


def test_what_is_put_off_again_and_again_is_looked_for_at_last() -> None:
    assert play(_looks(2, 3, 4, 5, 6, 7, every=1)) == [7]


def test_what_is_due_is_not_put_off_by_those_who_name_it_again() -> None:
    assert play(_looks(1, 1, 1, 1, 1, 1, 1, 1, every=0.2)) == [1, 1.45]


def test_what_is_far_is_looked_for_together_with_others_and_never_too_early() -> None:
    assert play(_looks(7.1)) == [7.25]
    assert play(_looks(1.1)) == [1.1]


def test_it_never_looks_at_once_nor_later_than_in_a_while() -> None:
    assert play(_looks(-5)) == [SHORTEST_SECONDS]
    assert play(_looks(FAR)) == [pytest.approx(LONGEST_SECONDS, abs=BEAT_SECONDS)]
    assert len(play(_looks(*([FAR] * 70), every=1))) == 3
