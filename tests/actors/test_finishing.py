"""What a writer was ended over is written to its end by somebody who lives longer, and told."""

from __future__ import annotations

import asyncio

import pytest

from actors.finishing import FINISH_SECONDS, Finisher
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import StreamStale
from indexer.errors import CommitTooLarge, StoreUnavailable
from tests.actors.fakes import TIME, FakeLog
from tests.sim.clock import in_virtual_time

STREAM = "chain:1"


def commit(first_seq: int, name: str = "", stream: str = STREAM) -> Commit:
    return Commit(name or f"{stream} {first_seq}", stream, first_seq, TIME, (StreamStale(1, "the node lags", 7),))


class Scene:
    """A log, and who was told of what."""

    def __init__(self) -> None:
        self.log = FakeLog()
        self.told: list[Commit] = []
        self.finisher = Finisher(log=self.log, publish=self.told.append)


async def test_what_had_not_arrived_is_written_and_told_in_order() -> None:
    on = Scene()
    on.finisher.left((commit(1), commit(2)))
    await on.finisher.finished(STREAM)
    assert on.log.commits == on.told == [commit(1), commit(2)]


async def test_what_had_arrived_is_told_and_is_in_the_log_once() -> None:
    on = Scene()
    await on.log.append(commit(1))
    on.finisher.left((commit(1),))
    await on.finisher.finished(STREAM)
    assert on.log.commits == on.told == [commit(1)]


async def test_what_follows_on_the_number_of_another_writer_is_neither_written_nor_told() -> None:
    on = Scene()
    other = commit(2, "another writer's")
    await on.log.append(other)
    on.finisher.left((commit(1), commit(2), commit(3)))
    await on.finisher.finished(STREAM)
    assert on.told == [commit(1)]
    assert on.log.of(STREAM) == [commit(1), other]


@in_virtual_time
async def test_while_the_store_is_away_the_next_life_is_told_so_and_nothing_is_given_up() -> None:
    on = Scene()
    on.log.troubles = [StoreUnavailable("away")] * 20
    on.finisher.left((commit(1),))
    began = asyncio.get_running_loop().time()
    with pytest.raises(StoreUnavailable, match=f"what was being written to {STREAM} is not settled"):
        await on.finisher.finished(STREAM)
    assert asyncio.get_running_loop().time() - began == pytest.approx(FINISH_SECONDS)
    assert on.told == []
    await asyncio.sleep(20)
    await on.finisher.finished(STREAM)
    assert on.told == [commit(1)]


@in_virtual_time
async def test_a_stream_of_which_nothing_was_left_waits_for_no_other() -> None:
    on = Scene()
    on.log.troubles = [StoreUnavailable("away")] * 20
    on.finisher.left((commit(1),))
    await asyncio.wait_for(on.finisher.finished("chain:2"), 0.1)
    await on.finisher.close()


async def test_what_cannot_be_written_at_all_keeps_nobody_waiting() -> None:
    on = Scene()
    on.log.troubles = [CommitTooLarge("a commit of 9 facts does not fit")]
    on.finisher.left((commit(1),))
    await on.finisher.finished(STREAM)
    assert on.told == []


@in_virtual_time
async def test_it_ends_with_the_service_wherever_it_is() -> None:
    on = Scene()
    on.log.troubles = [StoreUnavailable("away")] * 20
    on.finisher.left((commit(1),))
    await asyncio.sleep(1)
    await on.finisher.close()
    tried = len(on.log.tried)
    await asyncio.sleep(20)
    assert len(on.log.tried) == tried
