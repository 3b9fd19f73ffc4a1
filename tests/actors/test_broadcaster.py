"""Committed events reach every sink once and in order, whatever happens on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from pykka import ActorRef

from actors import broadcaster as module
from actors import patience
from actors.base import end
from actors.broadcaster import Broadcaster
from actors.messages import Begin, Committed, Resumed
from actors.positions import Positions
from indexer.domain.telling.commits import Commit
from indexer.errors import StoreUnavailable
from tests.actors.fakes import STREAM, FakeLog, answered, commit_of, updated

SECONDS = 5.0


class Sink:
    """Remembers what it was given; fails while it is told to."""

    def __init__(self) -> None:
        self.got: list[Commit] = []
        self.fails = False

    def deliver(self, commit: Commit) -> None:
        if self.fails:
            raise ValueError("sink")
        self.got.append(commit)


class Stage:
    """A log, two sinks, and one life of the broadcaster after the other."""

    def __init__(self, told: int = 0) -> None:
        self.log = FakeLog()
        self.sinks = (Sink(), Sink())
        self.positions = Positions({STREAM: told} if told else {}, {})
        self.projected: list[Commit] = []
        self.told: list[tuple[Commit, int]] = []
        """What was said to be told, and how many the last sink had by then."""
        self.deaths: list[BaseException] = []
        self.ref: ActorRef[Any] = self.live()

    def live(self) -> ActorRef[Any]:
        self.ref = Broadcaster.start(
            ledger=self.log,
            sinks=self.sinks,
            positions=self.positions,
            project=self.projected.append,
            told=lambda commit: self.told.append((commit, len(self.sinks[-1].got))),
            report=self.deaths.append,
        )
        return self.ref

    def write(self, *, stream: str = STREAM, facts: int = 1) -> Commit:
        """A commit in the log that nobody has told yet."""
        first = self.log.free(stream)
        commit = commit_of(first, *(updated(first, balance) for balance in range(1, facts + 1)), stream=stream)
        self.log.commits.append(commit)
        return commit

    async def hear(self, *messages: object) -> None:
        for message in messages:
            self.ref.tell(message)
        await self.settle()

    async def settle(self) -> None:
        await answered(self.ref, SECONDS)

    def seqs(self, sink: int = 0, stream: str = STREAM) -> list[int]:
        return [commit.first_seq for commit in self.sinks[sink].got if commit.stream == stream]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    await end(stage.ref, SECONDS)


async def test_every_sink_gets_every_commit_once_and_in_order_and_then_the_projector(stage: Stage) -> None:
    commits = [stage.write(facts=facts) for facts in (1, 3, 2)]
    await stage.hear(*map(Committed, commits), *map(Committed, commits))
    assert stage.sinks[0].got == stage.sinks[1].got == stage.projected == commits
    assert stage.positions.told() == {STREAM: 6}


async def test_a_commit_is_said_to_be_told_once_every_sink_has_it(stage: Stage) -> None:
    commits = [stage.write() for _ in range(3)]
    await stage.hear(Committed(commits[0]), Committed(commits[2]), Committed(commits[1]))
    assert stage.told == [(commit, place) for place, commit in enumerate(commits, 1)]


async def test_a_hole_is_filled_from_the_log_before_what_came_after_it(stage: Stage) -> None:
    first, second, third = (stage.write() for _ in range(3))
    await stage.hear(Committed(first), Committed(third), Committed(second))
    assert stage.sinks[0].got == [first, second, third]


async def test_a_hole_of_many_pages_is_filled(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    commits = [stage.write(facts=2) for _ in range(10)]
    await stage.hear(Committed(commits[-1]))
    assert stage.sinks[0].got == commits


async def test_what_the_log_does_not_show_yet_is_waited_for_and_not_passed_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0.01)
    first, second = stage.write(), stage.write()
    stage.log.unseen = 3
    await stage.hear(Committed(first), Resumed(STREAM, second.last_seq))
    assert stage.sinks[0].got == [first, second]


async def test_what_is_no_longer_kept_does_not_hold_up_what_is(stage: Stage) -> None:
    commits = [stage.write() for _ in range(4)]
    del stage.log.commits[:2]
    await stage.hear(Committed(commits[3]))
    assert stage.sinks[0].got == commits[2:]


async def test_streams_do_not_wait_for_each_other(stage: Stage) -> None:
    one, other = stage.write(), stage.write(stream="chain:2")
    await stage.hear(Committed(other), Committed(one))
    assert (stage.seqs(), stage.seqs(stream="chain:2")) == ([1], [1])
    assert stage.positions.told() == {STREAM: 1, "chain:2": 1}


async def test_a_failing_sink_is_named_once_and_the_other_goes_on(stage: Stage) -> None:
    commits = [stage.write() for _ in range(4)]
    with structlog.testing.capture_logs() as logs:
        stage.sinks[0].fails = True
        await stage.hear(*map(Committed, commits[:2]))
        stage.sinks[0].fails = False
        await stage.hear(*map(Committed, commits[2:]))
    assert [entry["event"] for entry in logs] == ["sink_failed", "sink_recovered"]
    assert (stage.seqs(0), stage.seqs(1)) == ([3, 4], [1, 2, 3, 4])
    assert stage.projected == commits
    assert stage.deaths == []


async def test_a_writer_that_resumes_has_what_nobody_heard_of_told(stage: Stage) -> None:
    stage.write()
    stage.write()
    await stage.hear(Resumed(STREAM, 2))
    assert stage.seqs() == [1, 2]
    await stage.hear(Resumed(STREAM, 2))
    assert stage.seqs() == [1, 2]


async def test_a_first_start_does_not_tell_again_what_was_told_in_an_earlier_run() -> None:
    stage = Stage(told=2)
    commits = [stage.write() for _ in range(3)]
    await stage.hear(Committed(commits[2]))
    assert stage.seqs() == [3]
    await end(stage.ref, SECONDS)


async def test_a_restart_tells_what_was_missed_in_between(stage: Stage) -> None:
    first = stage.write()
    await stage.hear(Committed(first))
    await end(stage.ref, SECONDS)
    stage.write()
    stage.write(stream="chain:2")
    stage.live()
    await stage.hear(Begin())
    assert (stage.seqs(), stage.seqs(stream="chain:2")) == ([1, 2], [1])


async def test_when_the_log_cannot_be_read_it_waits_and_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.patience.RETRY_SECONDS", 0.0)
    first, second, third = (stage.write() for _ in range(3))
    stage.log.troubles = [StoreUnavailable("no primary"), StoreUnavailable("no primary")]
    stage.ref.tell(Committed(first))
    stage.ref.tell(Committed(third))
    await end(stage.ref, SECONDS)
    assert not stage.deaths
    assert stage.sinks[0].got == [first, second, third]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["tell", "lose", "repeat", "resume", "restart"]), st.integers(1, 3))))
async def test_whatever_is_lost_or_repeated_on_the_way_every_commit_is_told_once_and_in_order(
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
            case "resume":
                stage.ref.tell(Resumed(STREAM, await stage.log.last_seq(STREAM)))
            case _:
                await end(stage.ref, SECONDS)
                stage.live().tell(Begin())
    await stage.hear(Resumed(STREAM, await stage.log.last_seq(STREAM)))
    assert stage.sinks[0].got == stage.sinks[1].got == stage.projected == stage.log.of(STREAM)
    await end(stage.ref, SECONDS)
