"""In-process listeners: each in its own task, in order, and none at the expense of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog.testing

from indexer.app import listeners as module
from indexer.app.listeners import Listeners
from indexer.domain.telling.commits import Commit, Event
from indexer.domain.telling.facts import Fact, StreamStale
from indexer.log import hide
from tests.actors.fakes import commit_of, updated

SECONDS = 5.0


@pytest.fixture
async def listeners() -> AsyncIterator[Listeners]:
    listeners = Listeners("epoch")
    yield listeners
    await listeners.close()


class Ear:
    """Remembers what it heard; as a coroutine function it waits first, if it must."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.moved = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    def now(self, event: Event) -> None:
        self.heard.append(event)
        self.moved.set()

    async def later(self, event: Event) -> None:
        await self.may_go_on.wait()
        self.now(event)

    async def until(self, count: int) -> list[int]:
        async with asyncio.timeout(SECONDS):
            while len(self.heard) < count:
                self.moved.clear()
                await self.moved.wait()
        return [event.seq for event in self.heard]


def commit(first_seq: int, *facts: Fact) -> Commit:
    return commit_of(first_seq, *(facts or (updated(first_seq, first_seq),)))


async def test_functions_and_coroutine_functions_hear_every_event_in_order(listeners: Listeners) -> None:
    plain, waiting = Ear(), Ear()
    listeners.add(plain.now)
    listeners.add(waiting.later)
    for first_seq in (1, 2, 3):
        listeners.deliver(commit(first_seq))
    assert await plain.until(3) == await waiting.until(3) == [1, 2, 3]
    assert plain.heard[0].id == "epoch:chain:1:1"


async def test_only_the_wanted_type_is_heard(listeners: Listeners) -> None:
    ear, every = Ear(), Ear()
    listeners.add(ear.now, "stream.stale")
    listeners.add(every.now)
    listeners.deliver(commit(1, updated(1, 1), StreamStale(1, "no node", 1), updated(1, 2)))
    assert await every.until(3) == [1, 2, 3]
    assert await ear.until(1) == [2]


async def test_a_type_that_does_not_exist_is_refused_with_those_that_do(listeners: Listeners) -> None:
    with pytest.raises(ValueError, match=r"balance\.updated"):
        listeners.add(print, "balance.update")


async def test_a_listener_that_fails_is_logged_and_hears_the_next_event(listeners: Listeners) -> None:
    ear = Ear()

    def fails_first(event: Event) -> None:
        ear.now(event)
        if event.seq == 1:
            raise ValueError("not mine to handle")

    with structlog.testing.capture_logs() as logs:
        listeners.add(fails_first)
        listeners.deliver(commit(1))
        listeners.deliver(commit(2))
        assert await ear.until(2) == [1, 2]
    assert [(entry["event"], entry["event_id"]) for entry in logs] == [("listener_failed", "epoch:chain:1:1")]


async def test_what_a_listener_fails_with_is_logged_without_secrets_and_local_variables(listeners: Listeners) -> None:
    ear, secret = Ear(), "kR7-vT2-qW9-zX4"
    hide([secret])

    def fails(event: Event) -> None:
        ear.now(event)
        raise ValueError(f"signed with {secret}")

    with structlog.testing.capture_logs() as logs:
        listeners.add(fails)
        listeners.deliver(commit(1))
        assert await ear.until(1) == [1]
    [entry] = logs
    assert entry["error"] == "ValueError('signed with ***')"
    assert "in fails" in entry["exception"]
    assert secret not in str(entry)
    assert "exc_info" not in entry, "structlog's defaults would show the locals of each frame"


async def test_a_listener_that_awaits_something_cancelled_hears_the_next_event(listeners: Listeners) -> None:
    ear = Ear()

    async def awaits_something_cancelled(event: Event) -> None:
        ear.now(event)
        inner = asyncio.get_running_loop().create_future()
        inner.cancel()
        await inner

    with structlog.testing.capture_logs() as logs:
        listeners.add(awaits_something_cancelled)
        listeners.deliver(commit(1))
        listeners.deliver(commit(2))
        assert await ear.until(2) == [1, 2]
    assert {entry["event"] for entry in logs} == {"listener_failed"}


async def test_a_slow_listener_delays_no_other_and_loses_its_oldest_with_a_word(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    slow, quick = Ear(), Ear()
    slow.may_go_on.clear()
    listeners.add(slow.later)
    listeners.add(quick.now)
    with structlog.testing.capture_logs() as logs:
        for first_seq in range(1, 9):
            listeners.deliver(commit(first_seq))
            await quick.until(first_seq)
        slow.may_go_on.set()
        heard = await slow.until(4)
        listeners.deliver(commit(9))
        assert await slow.until(5) == [1, 6, 7, 8, 9]
    assert heard == [1, 6, 7, 8]
    assert [(entry["event"], entry["dropped"]) for entry in logs] == [("listener_too_slow", 4)]


async def test_a_long_burst_leaves_the_loop_to_others_in_between(listeners: Listeners) -> None:
    ear, turns = Ear(), 0
    listeners.add(ear.now)
    listeners.deliver(commit(1, *(updated(1, balance) for balance in range(5_000))))
    while len(ear.heard) < 5_000:
        await asyncio.sleep(0)
        turns += 1
        assert turns < 10_000
    assert turns >= 10


async def test_who_stops_listening_hears_no_more_even_of_what_waits(listeners: Listeners) -> None:
    gone, stays = Ear(), Ear()
    unlisten = listeners.add(gone.now)
    listeners.add(stays.now)
    listeners.deliver(commit(1))
    unlisten()
    unlisten()
    listeners.deliver(commit(2))
    assert await stays.until(2) == [1, 2]
    assert gone.heard == []


async def test_a_listener_may_stop_itself(listeners: Listeners) -> None:
    ear, other = Ear(), Ear()

    def once(event: Event) -> None:
        ear.now(event)
        unlisten()

    unlisten = listeners.add(once)
    listeners.add(other.now)
    listeners.deliver(commit(1, updated(1, 1), updated(1, 2)))
    await other.until(2)
    await asyncio.sleep(0)
    assert [event.seq for event in ear.heard] == [1]


async def test_closing_ends_every_task() -> None:
    listeners = Listeners("epoch")
    ear = Ear()
    ear.may_go_on.clear()
    listeners.add(ear.later)
    listeners.deliver(commit(1))
    await asyncio.sleep(0)
    await listeners.close()
    listeners.deliver(commit(2))
    assert [task for task in asyncio.all_tasks() if task.get_name() == "listener"] == []
    assert ear.heard == []
