"""The timer that is only brought forward."""

from __future__ import annotations

import asyncio

from actors.accounts.lookout import LONGEST_SECONDS, SHORTEST_SECONDS, Lookout
from tests.sim.clock import play

FAR = 1_000_000.0


async def _looks(*moments: float) -> list[float]:
    loop = asyncio.get_running_loop()
    began, looked = loop.time(), list[float]()
    lookout = Lookout(lambda: looked.append(round(loop.time() - began, 3)))
    for moment in moments:
        lookout.by(began + moment)
    await asyncio.sleep(10)
    return looked


def test_it_looks_once_at_the_earliest_moment_that_was_named() -> None:
    assert play(_looks(2, 1, 2)) == [1]


def test_it_never_looks_at_once_nor_later_than_in_a_while() -> None:
    assert play(_looks(-5)) == [SHORTEST_SECONDS]
    assert play(_looks(FAR)) == [LONGEST_SECONDS]
