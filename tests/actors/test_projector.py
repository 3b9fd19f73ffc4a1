"""Commits become readable in the background: conflated, repeatable, bounded, and never claimed before they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from pykka import ActorRef

from actors import projector as module
from actors.base import end
from actors.messages import Begin, Committed
from actors.positions import Positions
from actors.projector import Projector
from indexer.domain.recording.records import BalanceRecord, RecordKey, fold
from indexer.domain.telling.commits import Commit
from indexer.errors import StoreUnavailable
from tests.actors.fakes import STREAM, FakeBooks, FakeCheckpoints, FakeLog, answered, commit_of, updated

SECONDS = 5.0


class Stage:
    """A log, the books and one life of the projector after the other."""

    def __init__(self, projected: int = 0) -> None:
        self.log, self.books, self.checkpoints = FakeLog(), FakeBooks(), FakeCheckpoints()
        self.positions = Positions({}, {STREAM: projected} if projected else {})
        self.now = 0.0
        self.deaths: asyncio.Queue[BaseException] = asyncio.Queue()
        self.ref: ActorRef[Any] = self.live()

    def live(self) -> ActorRef[Any]:
        self.ref = Projector.start(
            ledger=self.log,
            books=self.books,
            checkpoints=self.checkpoints,
            positions=self.positions,
            report=self.deaths.put_nowait,
            clock=lambda: self.now,
        )
        return self.ref

    def write(self, *, stream: str = STREAM, facts: int = 1) -> Commit:
        first = self.log.free(stream)
        commit = commit_of(first, *(updated(first, first, who=who) for who in range(facts)), stream=stream)
        self.log.commits.append(commit)
        return commit

    async def hear(self, *messages: object) -> None:
        """Tell all of them at once, and wait until all that they led to is done."""
        for message in messages:
            self.ref.tell(message)
        await self.settle()
        while len(self.ref.actor_inbox):  # type: ignore[arg-type] # our inbox has a length
            await self.settle()

    async def settle(self) -> None:
        await answered(self.ref, SECONDS)

    @property
    def batches(self) -> list[int]:
        return [len(projection.records) for projection in self.books.projections]

    def numbers(self) -> list[int]:
        return sorted({key.number for key in self.books.records})


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr("actors.patience.RETRY_SECONDS", 0.0)
    stage = Stage()
    yield stage
    await end(stage.ref, SECONDS)


async def test_a_burst_is_written_as_one(stage: Stage) -> None:
    await stage.hear(*(Committed(stage.write()) for _ in range(100)))
    assert stage.batches == [100]
    assert stage.positions.projected() == {STREAM: 100}


async def test_a_large_burst_is_written_in_parts_that_keep_memory_flat(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_FACTS", 10)
    await stage.hear(*(Committed(stage.write(facts=4)) for _ in range(10)))
    assert stage.batches == [12, 12, 12, 4]


async def test_positions_move_only_after_the_write(stage: Stage) -> None:
    seen: list[int] = []
    stage.books.on_project = lambda: seen.append(stage.positions.projected().get(STREAM, 0))
    await stage.hear(Committed(stage.write()))
    await stage.hear(Committed(stage.write()))
    assert seen == [0, 1]
    assert stage.positions.projected() == {STREAM: 2}


async def test_whoever_waits_for_what_was_told_goes_on_once_it_is_written(stage: Stage) -> None:
    commit = stage.write()
    stage.positions.tell(STREAM, 1)
    waiting = asyncio.ensure_future(stage.positions.caught_up())
    await asyncio.sleep(0)
    stage.ref.tell(Committed(commit))
    await asyncio.wait_for(waiting, SECONDS)
    assert stage.numbers() == [1]


async def test_a_start_catches_up_with_every_stream_of_the_log_from_where_it_was() -> None:
    stage = Stage(projected=2)
    for _ in range(5):
        stage.write()
    stage.write(stream="chain:2")
    await stage.hear(Begin())
    assert stage.numbers() == [1, 3, 4, 5]  # 1 is the other stream's
    assert stage.positions.projected() == {STREAM: 5, "chain:2": 1}
    assert stage.checkpoints.projected == {STREAM: 5, "chain:2": 1}
    await end(stage.ref, SECONDS)


async def test_a_start_reads_as_many_pages_as_there_are(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    for _ in range(10):
        stage.write()
    await stage.hear(Begin())
    assert stage.batches == [3, 3, 3, 1]


async def test_a_stream_with_much_to_read_does_not_keep_the_others_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    for _ in range(10):
        stage.write()
    stage.write(stream="chain:2")
    reached: list[int] = []
    stage.books.on_project = lambda: reached.append(stage.positions.projected().get("chain:2", 0))
    await stage.hear(Begin())
    assert reached.index(1) == 2


async def test_a_hole_is_read_from_the_log(stage: Stage) -> None:
    commits = [stage.write() for _ in range(4)]
    await stage.hear(Committed(commits[0]), Committed(commits[3]))
    assert stage.numbers() == [1, 2, 3, 4]
    assert stage.positions.projected() == {STREAM: 4}


async def test_what_was_projected_already_is_not_written_again(stage: Stage) -> None:
    commit = stage.write()
    await stage.hear(Committed(commit), Committed(commit))
    await stage.hear(Committed(commit))
    assert stage.batches == [1]


async def test_what_does_not_fit_into_memory_is_read_from_the_log_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PENDING_FACTS", 10)
    await stage.hear(*(Committed(stage.write()) for _ in range(50)))
    assert stage.batches == [10, 40]
    assert stage.numbers() == list(range(1, 51))
    assert stage.positions.projected() == {STREAM: 50}


async def test_while_the_store_is_away_it_waits_and_says_so_once(stage: Stage) -> None:
    stage.books.troubles = [StoreUnavailable("no primary") for _ in range(5)]
    with structlog.testing.capture_logs() as logs:
        await stage.hear(*(Committed(stage.write()) for _ in range(3)))
    assert [entry["event"] for entry in logs] == ["store_awaited", "store_answers"]
    assert stage.numbers() == [1, 2, 3]
    assert stage.deaths.empty()


async def test_a_start_waits_for_the_store_too(stage: Stage) -> None:
    stage.write()
    stage.log.troubles = [StoreUnavailable("no primary") for _ in range(3)]
    await stage.hear(Begin())
    assert stage.numbers() == [1]


async def test_an_error_that_no_waiting_mends_ends_this_life_and_the_next_loses_nothing(stage: Stage) -> None:
    first, second = stage.write(), stage.write()
    stage.books.troubles = [ValueError("bug")]
    stage.ref.tell(Committed(first))
    stage.ref.tell(Committed(second))
    assert repr(await asyncio.wait_for(stage.deaths.get(), SECONDS)) == "ValueError('bug')"
    assert stage.positions.projected() == {}
    stage.live()
    await stage.hear(Begin())
    assert stage.numbers() == [1, 2]


async def test_the_position_is_stored_now_and_then_and_at_the_end(stage: Stage) -> None:
    await stage.hear(Committed(stage.write()))
    assert stage.checkpoints.projected == {}
    stage.now += module.SAVE_SECONDS
    await stage.hear(Committed(stage.write()))
    assert stage.checkpoints.projected == {STREAM: 2}
    await stage.hear(Committed(stage.write()))
    await end(stage.ref, SECONDS)
    assert stage.checkpoints.projected == {STREAM: 3}


async def test_a_position_that_could_not_be_stored_is_stored_the_next_time(stage: Stage) -> None:
    stage.checkpoints.troubles = [StoreUnavailable("no primary")]
    stage.now += module.SAVE_SECONDS
    await stage.hear(Committed(stage.write()))
    assert stage.checkpoints.projected == {}
    await end(stage.ref, SECONDS)
    assert stage.checkpoints.projected == {STREAM: 1}


async def test_a_long_catch_up_leaves_room_for_the_messages_that_come_meanwhile(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    monkeypatch.setattr(module, "MOST_PENDING_FACTS", 5)
    stage.ref.tell(Committed(stage.write()))
    for _ in range(20):
        stage.write()
    stage.ref.tell(Committed(stage.write()))
    depths: list[int] = []

    def more() -> None:
        if len(depths) < 40:
            stage.ref.tell(Committed(stage.write()))
        depths.append(len(stage.ref.actor_inbox))  # type: ignore[arg-type] # our inbox has a length

    stage.books.on_project = more
    while stage.positions.projected().get(STREAM, 0) < await stage.log.last_seq(STREAM):
        await stage.settle()
    assert max(depths) < 10


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["tell", "lose", "repeat", "settle", "restart"]), st.integers(1, 3))))
async def test_whatever_is_lost_or_repeated_on_the_way_the_books_are_the_fold_of_the_log(
    steps: list[tuple[str, int]],
) -> None:
    stage = Stage()
    for kind, facts in steps:
        match kind:
            case "tell":
                stage.ref.tell(Committed(stage.write(facts=facts)))
            case "lose":
                stage.write(facts=facts)
            case "repeat":
                for commit in stage.log.of(STREAM)[-facts:]:
                    stage.ref.tell(Committed(commit))
            case "settle":
                await stage.settle()
            case _:
                await end(stage.ref, SECONDS)
                stage.live().tell(Begin())
    await end(stage.ref, SECONDS)
    stage.live()
    await stage.hear(Begin())
    assert stage.books.records == _all_records(stage.log)
    await end(stage.ref, SECONDS)


def _all_records(log: FakeLog) -> dict[RecordKey, BalanceRecord]:
    return fold(log.of(STREAM)).records


async def test_what_the_log_does_not_show_yet_is_waited_for_and_not_taken_for_its_end(stage: Stage) -> None:
    stage.write()
    stage.log.unseen = 3
    await stage.hear(Begin())
    assert stage.numbers() == [1]
