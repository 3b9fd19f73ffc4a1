"""Every event that was told is published in order, whatever happens to the server, to the store and to us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from pykka import ActorRef

from actors import backlog, publisher
from actors.base import end
from actors.messages import Begin, Committed
from actors.positions import Positions
from actors.publisher import Publisher
from indexer.domain.accounts.arrivals import Position
from indexer.domain.accounts.facts import AccountLive, PositionUpdated
from indexer.domain.health.status import BusStatus
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import exchange_stream
from indexer.domain.telling.subjects import Names, Notice
from indexer.errors import BusRefuses, BusUnreachable, EventTooLarge, EventUnwritable, StoreUnavailable
from indexer.metrics import Metrics
from tests.actors.accounts.fakes import ACCOUNT
from tests.actors.fakes import STREAM, FakeLog, commit_of, updated

SECONDS = 5.0
NEVER = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
"""In UTC it is before all time."""
UNWRITABLE = PositionUpdated(ACCOUNT, Position("BTC/USDT:USDT", "flat", Decimal(0)), NEVER)
ID = "e:{}:{}".format


class FakeBus:
    """Keeps what is stored as JetStream does, duplicates dropped; answers and losses come from `script`."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.subjects: list[str] = []
        self.script: list[str] = []
        self.opened = 0
        self.batches: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.too_large: set[str] = set()
        self.unwritable: set[str] = set()
        self._lost: Callable[[], None] = lambda: None
        self._broken: Exception | None = None

    async def open(self, lost: Callable[[], None]) -> None:
        self.opened += 1
        self._lost, self._broken = lost, None
        if self.script and self.script[0] in ("away", "refused", "bug"):
            raise {"away": BusUnreachable("away"), "refused": BusRefuses("no rights"), "bug": KeyError("bug")}[
                self.script.pop(0)
            ]

    def check(self) -> None:
        if self._broken is not None:
            raise self._broken

    async def publish(self, notices: Sequence[Notice]) -> int:
        await self.gate.wait()
        self.batches.append(len(notices))
        how = self.script.pop(0) if self.script else "all"
        if notices[0].id in self.too_large:
            raise EventTooLarge("too large")
        if notices[0].id in self.unwritable:
            raise EventUnwritable("no JSON")
        never = self.too_large | self.unwritable
        count = next((i for i, each in enumerate(notices) if each.id in never), len(notices))
        count = min(count, {"one": 1, "none": 0, "refused": 0}.get(how, count))
        for notice in notices[:count]:
            if notice.id not in self.stored:
                self.stored.append(notice.id)
                self.subjects.append(notice.subject)
        if how in ("lost", "none", "away"):
            raise BusUnreachable("the answer was lost")
        if how == "refused":
            raise BusRefuses("full")
        return count

    async def close(self) -> None:
        """Nothing to let go of."""

    def lose(self) -> None:
        self._broken = BusUnreachable("gone")
        self._lost()


class FakeCursors:
    """Positions in memory; `ill` while the store does not answer."""

    def __init__(self) -> None:
        self.kept: dict[str, int] | None = None
        self.ill = False
        self.saves = 0

    async def load(self) -> Mapping[str, int] | None:
        return None if self.kept is None else dict(self.kept)

    async def begin(self, positions: Mapping[str, int]) -> None:
        self.kept = dict(positions)

    async def save(self, stream: str, seq: int) -> None:
        if self.ill:
            raise StoreUnavailable("no primary")
        assert self.kept is not None
        self.saves += 1
        self.kept[stream] = max(seq, self.kept.get(stream, 0))


class Stage:
    """A log, a bus, and one life of the publisher after the other."""

    def __init__(self, *, skip_old: bool = False) -> None:
        self.log = FakeLog()
        self.bus = FakeBus()
        self.cursors = FakeCursors()
        self.positions = Positions({}, {})
        self.status = BusStatus("nats:4222", "indexer")
        self.seen: list[str] = []
        self.metrics = Metrics()
        self.skip_old = skip_old
        self.deaths: list[BaseException] = []
        self.ref: ActorRef[Any] | None = None

    def live(self) -> None:
        self.ref = Publisher.start(
            ledger=self.log,
            cursors=self.cursors,
            positions=self.positions,
            bus=self.bus,
            epoch="e",
            names=lambda: Names({1: "ethereum"}),
            skip_old=self.skip_old,
            status=self.status,
            show=self._show,
            metrics=self.metrics.bus,
            report=self.deaths.append,
        )
        self.ref.tell(Begin())

    def _show(self, status: BusStatus) -> None:
        self.status = status
        if not self.seen or self.seen[-1] != status.state:
            self.seen.append(status.state)

    def write(self, facts: int = 1, stream: str = STREAM, *, heard: bool = True) -> Commit:
        """Committed and told; `heard` unless the publisher is between two lives."""
        first = self.log.free(stream)
        commit = commit_of(first, *(updated(first, balance) for balance in range(1, facts + 1)), stream=stream)
        return self.hear(commit, heard=heard)

    def hear(self, commit: Commit, *, heard: bool = True) -> Commit:
        self.log.commits.append(commit)
        if heard and self.ref is not None and self.ref.is_alive():
            self.ref.tell(Committed(commit))
        self.positions.tell(commit.stream, commit.last_seq)
        return commit

    def due(self, stream: str) -> list[str]:
        return [ID(stream, seq) for seq in range(1, self.positions.told().get(stream, 0) + 1)]

    def stored(self, stream: str = STREAM) -> list[str]:
        return [each for each in self.bus.stored if each.startswith(f"e:{stream}:")]

    async def until(self, check: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            if check():
                return
            assert time.monotonic() < deadline, "it did not come to that in time"
            await asyncio.sleep(0)

    async def all_stored(self) -> None:
        await self.until(lambda: all(self.stored(stream) == self.due(stream) for stream in self.positions.told()))

    async def stop(self) -> None:
        assert self.ref is not None
        await end(self.ref, SECONDS)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "FIRST_RETRY_SECONDS", 0.0)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    stage.live()
    yield stage
    await stage.stop()
    assert stage.deaths == []


async def test_what_is_told_is_published_in_order(stage: Stage) -> None:
    for facts in (1, 3, 300, 2):
        stage.write(facts)
    await stage.all_stored()
    assert max(stage.bus.batches) <= publisher.AT_ONCE
    assert stage.bus.subjects[0].startswith("balance.ethereum.0x")


async def test_while_it_is_up_to_date_the_log_is_not_read(stage: Stage) -> None:
    for _ in range(20):
        stage.write(3)
        await stage.all_stored()
    assert stage.log.pages == []


async def test_while_the_server_is_away_memory_stays_bounded_and_the_log_has_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backlog, "MOST_HELD", 20)
    stage = Stage()
    stage.bus.gate.clear()
    stage.live()
    await stage.until(lambda: stage.bus.opened == 1)
    for _ in range(500):
        stage.write(3)
        stage.write(1, "chain:2")
        await asyncio.sleep(0)
    stage.bus.gate.set()
    await stage.all_stored()
    assert stage.log.pages != []
    await stage.stop()


def test_a_backlog_holds_no_more_than_its_bound_and_nothing_that_went_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST_HELD", 20)
    held = backlog.Backlog({})
    for seq in range(1, 1_000, 3):
        held.add(commit_of(seq, *(updated(seq, balance) for balance in range(3))))
    assert held._facts == 21
    assert len(held.take(STREAM, 100, "e")) == 21
    held.sent(STREAM, 20)
    assert held._facts == 3
    held.sent(STREAM, 21)
    assert held._facts == 0
    assert held.lacks(STREAM)


async def test_a_stream_with_much_to_say_does_not_keep_the_others_waiting(stage: Stage) -> None:
    stage.bus.gate.clear()
    stage.write(5_000)
    stage.write(1, "chain:2")
    stage.bus.gate.set()
    await stage.all_stored()
    assert stage.bus.stored.index(ID("chain:2", 1)) <= 2 * publisher.AT_ONCE


async def test_a_lost_connection_is_told_once_and_once_when_it_is_back(stage: Stage) -> None:
    stage.write()
    await stage.all_stored()
    with structlog.testing.capture_logs() as logs:
        stage.bus.script = ["away"] * 20
        stage.bus.lose()
        stage.write(2)
        await stage.all_stored()
        await stage.until(lambda: stage.status.state == "live")
    assert [entry["event"] for entry in logs] == ["nats_lost", "nats_back"]
    assert (stage.status.reconnects, stage.status.last_error, stage.status.published) == (1, None, 3)
    assert stage.seen == ["live", "lost", "live"]


async def test_a_server_that_lets_us_in_but_stores_nothing_is_not_back(stage: Stage) -> None:
    with structlog.testing.capture_logs() as logs:
        stage.bus.script = ["refused", "all-is-well"] * 5
        stage.write()
        await stage.all_stored()
        await stage.until(lambda: stage.status.state == "live")
    assert [entry["event"] for entry in logs if entry["event"] != "nats_open"] == ["nats_refused", "nats_back"]


async def test_a_mistake_of_ours_in_the_bus_does_not_end_the_actor(stage: Stage) -> None:
    with structlog.testing.capture_logs() as logs:
        stage.bus.script = ["bug"] * 20
        stage.bus.lose()
        stage.write()
        await stage.all_stored()
    assert [entry["event"] for entry in logs].count("nats_crashed") == 1


async def test_a_mistake_of_ours_that_follows_on_a_refusal_is_in_the_log_as_well(stage: Stage) -> None:
    with structlog.testing.capture_logs() as logs:
        stage.bus.script = ["refused", *["bug"] * 5, "refused", "bug"]
        stage.bus.lose()
        stage.write()
        await stage.all_stored()
    crashes = [entry for entry in logs if entry["event"] == "nats_crashed"]
    assert [entry["log_level"] for entry in crashes] == ["error", "error"]
    assert all(entry["exc_info"] for entry in crashes)


async def test_an_event_that_is_too_large_is_named_and_the_others_go_on(stage: Stage) -> None:
    stage.bus.too_large = {ID(STREAM, 2)}
    with structlog.testing.capture_logs() as logs:
        stage.write(4)
        await stage.until(lambda: stage.stored() == [ID(STREAM, seq) for seq in (1, 3, 4)])
        await stage.until(lambda: stage.status.skipped == 1)
    assert [entry["event_id"] for entry in logs if entry["event"] == "nats_event_too_large"] == [ID(STREAM, 2)]


@pytest.mark.parametrize("places", [(0,), (3,), (1, 2), (0, 1, 2, 3)])
async def test_an_event_that_cannot_be_written_is_named_and_all_others_go_on(
    stage: Stage, places: tuple[int, ...]
) -> None:
    stream = exchange_stream(*ACCOUNT)
    facts = [UNWRITABLE if place in places else AccountLive(ACCOUNT, "talks again") for place in range(4)]
    left_out = [ID(stream, place + 1) for place in places]
    with structlog.testing.capture_logs() as logs:
        stage.hear(commit_of(1, *facts, stream=stream))
        stage.write(3)
        stage.hear(commit_of(5, AccountLive(ACCOUNT, "talks again"), stream=stream))
        await stage.until(lambda: stage.stored() == stage.due(STREAM))
        await stage.until(lambda: stage.stored(stream) == [each for each in stage.due(stream) if each not in left_out])
        await stage.until(lambda: stage.status.skipped == len(places) and stage.status.state == "live")
    assert [entry["event_id"] for entry in logs if entry["event"] == "nats_event_unwritable"] == left_out
    assert stage.bus.opened == 1


async def test_an_event_that_the_bus_cannot_write_is_named_as_well(stage: Stage) -> None:
    stage.bus.unwritable = {ID(STREAM, 2)}
    with structlog.testing.capture_logs() as logs:
        stage.write(3)
        await stage.until(lambda: stage.stored() == [ID(STREAM, 1), ID(STREAM, 3)])
        await stage.until(lambda: stage.status.skipped == 1)
    assert [entry["event_id"] for entry in logs if entry["event"] == "nats_event_unwritable"] == [ID(STREAM, 2)]


async def test_what_the_log_has_forgotten_is_named_and_the_rest_follows() -> None:
    stage = Stage()
    for _ in range(5):
        stage.write(2)
    del stage.log.commits[:3]
    with structlog.testing.capture_logs() as logs:
        stage.live()
        await stage.until(lambda: stage.stored() == [ID(STREAM, seq) for seq in (7, 8, 9, 10)])
    told = [(e["first_seq"], e["last_seq"]) for e in logs if e["event"] == "nats_events_forgotten"]
    assert (told, stage.status.skipped) == ([(1, 6)], 6)
    await stage.stop()


async def test_what_the_log_does_not_show_yet_is_not_taken_for_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.patience.RETRY_SECONDS", 0.0)
    stage = Stage()
    stage.write()
    stage.log.unseen = 3
    stage.live()
    await stage.until(lambda: stage.stored() == [ID(STREAM, 1)])
    assert stage.status.skipped == 0
    await stage.stop()


async def test_the_first_time_everything_that_is_kept_is_published() -> None:
    stage = Stage()
    stage.write(3)
    stage.live()
    await stage.all_stored()
    await stage.stop()
    assert stage.stored() == [ID(STREAM, seq) for seq in (1, 2, 3)]


async def test_or_only_what_is_told_from_then_on_and_streams_that_begin_later() -> None:
    stage = Stage(skip_old=True)
    stage.write(3)
    stage.live()
    await stage.until(lambda: stage.cursors.kept is not None)
    await stage.stop()
    stage.write(1)
    stage.write(2, "chain:2")
    stage.live()
    await stage.until(lambda: stage.stored("chain:2") == stage.due("chain:2"))
    await stage.until(lambda: stage.stored() == [ID(STREAM, 4)])
    await stage.stop()
    assert sorted(stage.bus.stored) == [ID(STREAM, 4), ID("chain:2", 1), ID("chain:2", 2)]


async def test_the_position_is_stored_once_in_a_while_and_at_the_end(stage: Stage) -> None:
    for _ in range(50):
        stage.write(1)
        await stage.all_stored()
    assert stage.cursors.saves <= 1
    await stage.stop()
    assert stage.cursors.kept == {STREAM: 50}


async def test_what_was_told_until_the_stop_goes_out_before_it(stage: Stage) -> None:
    stage.write(1)
    await stage.until(lambda: stage.status.state == "live")
    stage.write(1_000)
    await stage.stop()
    assert stage.stored() == stage.due(STREAM)


async def test_a_store_that_does_not_answer_keeps_nothing_from_being_published(stage: Stage) -> None:
    stage.cursors.ill = True
    stage.write(1)
    await stage.all_stored()
    await stage.stop()
    assert stage.cursors.kept == {}
    stage.cursors.ill = False
    stage.live()
    await stage.until(lambda: stage.bus.batches[-1:] == [1] and len(stage.bus.batches) == 2)
    assert stage.stored() == stage.due(STREAM)


STEP = st.tuples(
    st.sampled_from(["tell", "other", "miss", "lose", "restart", "kill", "turn"]),
    st.integers(1, 4),
    st.lists(st.sampled_from(["all", "one", "lost", "none", "away", "refused", "bug"]), max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=25))
async def test_whatever_is_lost_every_event_is_stored_once_and_in_order(steps: list[Any]) -> None:
    stage = Stage()
    stage.live()
    for kind, facts, script in steps:
        stage.bus.script = list(script)
        match kind:
            case "tell" | "miss":
                stage.write(facts, heard=kind == "tell")
            case "other":
                stage.write(facts, "chain:2")
            case "lose":
                stage.bus.lose()
            case "restart":
                await stage.stop()
                stage.live()
            case "kill":
                assert stage.ref is not None
                await end(stage.ref, 0.0)
                stage.live()
            case _:
                for _ in range(facts):
                    await asyncio.sleep(0)
    stage.bus.script = []
    stage.write()
    await stage.all_stored()
    await stage.stop()
    assert stage.deaths == []
    assert stage.cursors.kept == dict(stage.positions.told())
