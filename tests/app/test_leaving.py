"""What was told last of chains that nobody follows any more is kept without keeping anybody waiting."""

from __future__ import annotations

import asyncio

from indexer.app.leaving import Leaving
from indexer.errors import StoreUnavailable
from tests.sim.clock import in_virtual_time


class Checkpoints:
    def __init__(self, *, fails: int = 0) -> None:
        self.asked: list[tuple[str, int]] = []
        self.written: list[tuple[str, int]] = []
        self._fails = fails

    async def leave(self, stream: str, seq: int) -> None:
        self.asked.append((stream, seq))
        await asyncio.sleep(0.1)
        if len(self.asked) <= self._fails:
            raise StoreUnavailable("no answer")
        self.written.append((stream, seq))


@in_virtual_time
async def test_a_reload_goes_on_once_it_is_known_in_this_life() -> None:
    checkpoints = Checkpoints(fails=3)
    leaving = Leaving(checkpoints)
    await leaving.begun({"chain:1": 7})
    assert (checkpoints.asked, checkpoints.written) == ([("chain:1", 7)], [])
    await asyncio.sleep(5)
    assert checkpoints.written == [("chain:1", 7)]
    await leaving.close()


@in_virtual_time
async def test_a_start_waits_until_it_is_written() -> None:
    checkpoints = Checkpoints(fails=1)
    await Leaving(checkpoints).written({"chain:1": 7, "chain:2": 9})
    assert checkpoints.written == [("chain:1", 7), ("chain:2", 9)]


@in_virtual_time
async def test_the_newest_word_on_a_stream_takes_the_place_of_one_that_is_not_written_and_the_end_waits_for_none() -> (
    None
):
    checkpoints = Checkpoints(fails=100)
    leaving = Leaving(checkpoints)
    await leaving.begun({"chain:1": 7})
    await leaving.begun({"chain:1": 8})
    await asyncio.sleep(5)
    assert checkpoints.asked.count(("chain:1", 7)) == 1
    async with asyncio.timeout(1):
        await leaving.close()
    asked = len(checkpoints.asked)
    await asyncio.sleep(5)
    assert len(checkpoints.asked) == asked
