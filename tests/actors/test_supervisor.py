"""The supervisor: restarts with growing pauses, gives up once, stops in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog.testing
from pykka import ActorRef

from actors import supervisor as module
from actors.base import AsyncActor, Report, end
from actors.messages import ChildDied, RestartDue
from actors.supervisor import StartChild, StopChild, Supervisor
from indexer.domain.restarts import RestartPolicy
from indexer.errors import BeginsAnew
from tests.sim.clock import in_virtual_time

SECONDS = 5.0
POLICY = RestartPolicy(first_seconds=0.002, longest_seconds=0.008, healthy_seconds=60, most_restarts=3)


class Child(AsyncActor):
    """Dies when it is told an error."""

    def __init__(self, *, report: Report, closed: Callable[[], None] = lambda: None) -> None:
        super().__init__(report=report)
        self._closed = closed

    async def receive(self, message: Any) -> Any:
        if isinstance(message, Exception):
            raise message
        if message == "hang":
            await asyncio.Event().wait()
        return message

    async def closing(self) -> None:
        self._closed()


class Family:
    """A supervisor under test, with a clock and a jitter in the test's hand."""

    def __init__(self, policy: RestartPolicy = POLICY) -> None:
        self.now = 0.0
        self.jitter = 0.0
        self.given_up: list[tuple[str, str]] = []
        self.restarted: list[tuple[str, int]] = []
        self.lives: dict[str, list[ActorRef[Any]]] = {}
        self.closed: list[str] = []
        self.moved = asyncio.Event()
        self.fails_to_start: Exception | None = None
        self.ref: ActorRef[Any] = Supervisor.start(
            give_up=self._give_up,
            policy=policy,
            restarted=lambda name, count: self.restarted.append((name, count)),
            clock=lambda: self.now,
            jitter=lambda: self.jitter,
        )

    async def start(self, name: str, given_up: Callable[[BaseException], None] | None = None) -> ActorRef[Any]:
        ref: ActorRef[Any] = await self.ask(StartChild(name, lambda report: self._born(name, report), given_up))
        return ref

    async def ask(self, order: object) -> Any:
        async def answer() -> Any:
            return await self.ref.ask(order, block=False)

        return await asyncio.wait_for(answer(), SECONDS)

    async def settle(self) -> None:
        """Until the supervisor has handled all that was in its inbox."""
        await self.ask("anything")

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not met():
                self.moved.clear()
                await self.moved.wait()

    async def kill(self, name: str, error: str = "boom") -> None:
        await self.die(name, ValueError(error))

    async def die(self, name: str, error: Exception) -> None:
        """End the present life and wait for what the supervisor does about it."""
        before, given_up = len(self.lives[name]), len(self.given_up)
        self.lives[name][-1].tell(error)
        await self.until(lambda: len(self.lives[name]) > before or len(self.given_up) > given_up)

    def _born(self, name: str, report: Report) -> ActorRef[Any]:
        self.moved.set()
        if self.fails_to_start is not None:
            raise self.fails_to_start
        ref = Child.start(report=report, closed=lambda: self.closed.append(name))
        self.lives.setdefault(name, []).append(ref)
        return ref

    def _give_up(self, name: str, error: BaseException) -> None:
        self.given_up.append((name, str(error)))
        self.moved.set()


@pytest.fixture
async def family() -> AsyncIterator[Family]:
    family = Family()
    yield family
    await end(family.ref, SECONDS)


def pauses(logs: list[Any]) -> list[float]:
    return [entry["restart_in_seconds"] for entry in logs if entry["event"] == "actor_died"]


async def test_a_dead_child_is_started_again_and_counted(family: Family) -> None:
    first = await family.start("a")
    await family.kill("a")
    assert not first.is_alive()
    assert family.lives["a"][-1].is_alive()
    assert family.restarted == [("a", 1)]


async def test_pauses_double_up_to_the_longest_and_jitter_stretches_them() -> None:
    family = Family(RestartPolicy(first_seconds=0.02, longest_seconds=0.08, most_restarts=9))
    with structlog.testing.capture_logs() as logs:
        await family.start("a")
        for _ in range(4):
            await family.kill("a")
        family.jitter = 0.999
        await family.kill("a")
    assert pauses(logs) == [0.01, 0.02, 0.04, 0.04, 0.08]
    await end(family.ref, SECONDS)


async def test_a_child_that_asks_for_its_next_life_is_no_failure_and_one_that_fails_afterwards_is(
    family: Family,
) -> None:
    with structlog.testing.capture_logs() as logs:
        await family.start("a")
        await family.die("a", BeginsAnew("number 7 is written"))
        assert family.lives["a"][-1].is_alive()
        assert family.restarted == []
        await family.kill("a")
    assert family.restarted == [("a", 2)]
    begun, died = logs
    assert (begun["event"], begun["log_level"], begun["reason"]) == ("actor_begins_anew", "info", "number 7 is written")
    assert "exc_info" not in begun
    assert (died["event"], died["log_level"]) == ("actor_died", "error")


async def test_a_child_that_the_others_can_do_without_is_given_up_alone(family: Family) -> None:
    alone: list[str] = []

    def given_up(error: BaseException) -> None:
        alone.append(str(error))
        family.moved.set()

    other = await family.start("other")
    await family.start("a", given_up)
    for number in range(POLICY.most_restarts):
        await family.kill("a", f"death {number}")
    family.lives["a"][-1].tell(ValueError("the last"))
    await family.until(lambda: bool(alone))
    assert alone == ["the last"]
    assert family.given_up == []
    assert other.is_alive()
    await family.ask(StopChild("a"))
    await family.start("a")
    assert family.lives["a"][-1].is_alive()


async def test_past_the_bound_it_gives_up_once_and_starts_no_more(family: Family) -> None:
    await family.start("a")
    for number in range(POLICY.most_restarts + 1):
        await family.kill("a", f"death {number}")
    await family.settle()
    assert family.given_up == [("a", "death 3")]
    assert len(family.lives["a"]) == POLICY.most_restarts + 1
    family.ref.tell(ChildDied("a", ValueError("again")))
    await family.settle()
    assert len(family.given_up) == 1


async def test_a_second_child_past_the_bound_is_not_told_again(family: Family) -> None:
    await family.start("a")
    await family.start("b")
    for _ in range(POLICY.most_restarts + 1):
        await family.kill("a")
    for _ in range(POLICY.most_restarts):
        await family.kill("b")
    family.lives["b"][-1].tell(ValueError("last"))
    await family.settle()
    await family.settle()
    assert [name for name, _ in family.given_up] == ["a"]


async def test_a_healthy_life_starts_the_count_afresh(family: Family) -> None:
    with structlog.testing.capture_logs() as logs:
        await family.start("a")
        for _ in range(3 * POLICY.most_restarts):
            await family.kill("a")
            family.now += POLICY.healthy_seconds
    assert set(pauses(logs)) == {0.0}  # each the first pause, rounded in the log
    assert family.given_up == []
    assert family.restarted[-1] == ("a", 3 * POLICY.most_restarts)


async def test_one_childs_death_leaves_the_other_alone(family: Family) -> None:
    await family.start("a")
    other = await family.start("b")
    await family.kill("a")
    assert other.is_alive()
    assert len(family.lives["b"]) == 1


async def test_a_start_that_fails_is_told_to_whoever_ordered_it(family: Family) -> None:
    family.fails_to_start = OSError("no port")
    with pytest.raises(OSError, match="no port"):
        await family.start("a")
    family.fails_to_start = None
    assert (await family.start("a")).is_alive()


async def test_a_restart_that_fails_counts_as_a_death_and_the_supervisor_lives_on(family: Family) -> None:
    await family.start("a")
    family.fails_to_start = OSError("no port")
    family.lives["a"][-1].tell(ValueError("boom"))
    await family.until(lambda: bool(family.given_up))
    assert family.given_up == [("a", "no port")]
    assert family.ref.is_alive()


async def test_a_restart_that_fails_once_is_tried_again(family: Family) -> None:
    await family.start("a")
    family.fails_to_start = OSError("no port")
    family.lives["a"][-1].tell(ValueError("boom"))
    await family.until(lambda: bool(family.restarted))
    family.fails_to_start = None
    await family.until(lambda: len(family.lives["a"]) == 2)
    assert family.lives["a"][-1].is_alive()


async def test_a_name_that_lives_cannot_be_started_twice(family: Family) -> None:
    first = await family.start("a")
    with pytest.raises(ValueError, match="a"):
        await family.start("a")
    assert first.is_alive()
    assert len(family.lives["a"]) == 1


async def test_a_stopped_child_is_ended_before_the_answer_and_never_restarted(family: Family) -> None:
    ref = await family.start("a")
    await family.ask(StopChild("a"))
    assert not ref.is_alive()
    assert family.closed == ["a"]
    family.ref.tell(RestartDue("a"))
    family.ref.tell(ChildDied("a", ValueError("late")))
    await family.settle()
    assert (len(family.lives["a"]), family.restarted) == (1, [])


async def test_a_child_that_died_and_waits_for_its_restart_can_be_stopped() -> None:
    family = Family(RestartPolicy(first_seconds=3600, longest_seconds=3600))
    ref = await family.start("a")
    with structlog.testing.capture_logs() as logs:
        ref.tell(ValueError("boom"))
        while not pauses(logs):
            await family.settle()
    await family.ask(StopChild("a"))
    family.ref.tell(RestartDue("a"))
    await family.settle()
    assert len(family.lives["a"]) == 1
    assert (await family.start("a")).is_alive()
    await end(family.ref, SECONDS)


async def test_a_late_word_of_an_earlier_life_does_not_bury_the_present_one(family: Family) -> None:
    await family.start("a")
    family.ref.tell(ChildDied("a", ValueError("from before")))
    family.ref.tell(RestartDue("a"))
    await family.settle()
    assert (len(family.lives["a"]), family.restarted) == (1, [])


async def test_stopping_what_is_not_there_is_harmless(family: Family) -> None:
    await family.start("a")
    await family.ask(StopChild("nobody"))
    await family.settle()
    assert (family.ref.is_alive(), family.lives["a"][-1].is_alive(), family.closed) == (True, True, [])


async def test_children_end_in_reverse_even_when_one_was_restarted(family: Family) -> None:
    for name in ("first", "second", "third"):
        await family.start(name)
    await family.kill("first")
    await end(family.ref, SECONDS)
    assert family.closed == ["third", "second", "first"]


@in_virtual_time
async def test_nothing_is_restarted_after_the_end() -> None:
    family = Family(RestartPolicy(first_seconds=0.001))
    ref = await family.start("a")
    await family.start("b")
    ref.tell(ValueError("boom"))
    await end(family.ref, SECONDS)
    lives = sum(map(len, family.lives.values()))
    await asyncio.sleep(3600)
    assert sum(map(len, family.lives.values())) == lives
    assert all(not ref.is_alive() for refs in family.lives.values() for ref in refs)


async def test_a_child_that_hangs_is_cancelled_and_the_others_are_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.01)
    family = Family()
    for name in ("a", "b", "c"):
        (await family.start(name)).tell("hang")
    await asyncio.wait_for(end(family.ref, SECONDS), SECONDS)
    assert all(not refs[-1].is_alive() for refs in family.lives.values())


async def test_when_the_time_to_end_is_over_no_child_is_left_behind() -> None:
    family = Family()
    for name in ("a", "b", "c"):
        (await family.start(name)).tell("hang")
    await family.settle()
    await asyncio.wait_for(end(family.ref, 0.02), SECONDS)
    for refs in family.lives.values():
        await asyncio.wait_for(end(refs[-1], SECONDS), SECONDS)
        assert not refs[-1].is_alive()
