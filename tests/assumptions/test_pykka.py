"""What `actors/base.py` believes of pykka 4.5, measured on pykka's own thread actors."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import pykka
import pytest
from pykka import messages

from actors.base import AsyncActor
from actors.inbox import Inbox

SECONDS = 5.0


class Stock(pykka.ThreadingActor):
    """A plain actor of pykka's that notes which hooks were called."""

    use_daemon_thread = True

    def __init__(self, *, fails_to_start: bool = False, fails_to_stop: bool = False) -> None:
        super().__init__()
        self.fails_to_start = fails_to_start
        self.fails_to_stop = fails_to_stop
        self.hooks: list[str] = []
        self.go_on = threading.Event()

    def on_start(self) -> None:
        if self.fails_to_start:
            raise ValueError("start")

    def on_stop(self) -> None:
        self.hooks.append("on_stop")
        if self.fails_to_stop:
            raise ValueError("stop")

    def on_failure(self, *_: object) -> None:
        self.hooks.append("on_failure")

    def on_receive(self, message: Any) -> Any:
        if message == "wait":
            assert self.go_on.wait(SECONDS)
        if message == "crash":
            raise ValueError("crash")
        if message == "later":
            return later()
        return message


async def later() -> str:
    return "run"


@contextmanager
def started(**options: bool) -> Iterator[tuple[pykka.ActorRef[Any], Stock]]:
    made: list[Stock] = []

    class Kept(Stock):
        def __init__(self) -> None:
            super().__init__(**options)
            made.append(self)

    ref = Kept.start()
    try:
        yield ref, made[0]
    finally:
        made[0].go_on.set()
        pykka.ActorRegistry.stop_all(timeout=SECONDS)
        assert pykka.ActorRegistry.get_all() == []


def is_dead(ref: pykka.ActorRef[Any]) -> bool:
    return ref.actor_stopped.wait(SECONDS)


def test_this_is_the_pykka_that_was_measured() -> None:
    assert version("pykka").startswith("4.5.")


@pytest.mark.parametrize("name", ["_create_actor_inbox", "_create_future", "_start_actor_loop"])
def test_the_three_extension_points_are_what_an_actor_type_must_bring(name: str) -> None:
    assert name in pykka.Actor.__abstractmethods__
    assert name in vars(AsyncActor)


@pytest.mark.parametrize("name", ["_handle_receive", "_actor_loop_teardown", "on_receive"])
def test_the_steps_of_the_loop_that_we_call_exist(name: str) -> None:
    assert callable(getattr(pykka.Actor, name))


def test_an_inbox_needs_three_methods_and_no_more() -> None:
    needed = {name for name in vars(pykka._actor.ActorInbox) if not name.startswith("_")}
    assert needed == {"put", "get", "empty"}
    assert needed <= set(vars(Inbox))


def test_an_envelope_carries_the_message_and_where_to_answer() -> None:
    with started() as (ref, actor):
        ref.tell("wait")
        ref.tell("told")
        answer = ref.ask("asked", block=False)
        waiting = list(actor.actor_inbox.queue)[-2:]  # type: ignore[attr-defined] # a thread actor's inbox is a queue
        assert [(envelope.message, envelope.reply_to) for envelope in waiting] == [("told", None), ("asked", answer)]


def test_a_ref_says_alive_by_the_flag_alone() -> None:
    with started() as (ref, actor):
        assert ref.actor_stopped is actor.actor_stopped
        actor.actor_stopped.set()
        assert not ref.is_alive()
        actor.actor_stopped.clear()


def test_a_stop_is_a_message_like_any_other() -> None:
    with started() as (ref, actor):
        ref.tell(messages._ActorStop())
        assert is_dead(ref)
        assert actor.hooks == ["on_stop"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("options", "order"), [({"fails_to_start": True}, None), ({"fails_to_stop": True}, messages._ActorStop())]
)
def test_a_crash_while_starting_or_stopping_calls_no_failure_hook(options: dict[str, bool], order: object) -> None:
    with started(**options) as (ref, actor):
        if order is not None:
            ref.tell(order)
        assert is_dead(ref)
        assert "on_failure" not in actor.hooks


def test_a_crash_on_ask_goes_to_the_asker_and_the_actor_lives_on() -> None:
    with started() as (ref, actor):
        with pytest.raises(ValueError, match="crash"):
            ref.ask("crash", timeout=SECONDS)
        assert ref.ask("still here", timeout=SECONDS) == "still here"
        assert actor.hooks == []


def test_a_crash_on_tell_ends_the_actor_and_those_who_asked_behind_it_are_refused() -> None:
    with started() as (ref, actor):
        ref.tell("wait")
        ref.tell("crash")
        ref.tell("vanishes")
        behind = ref.ask("anybody?", block=False)
        actor.go_on.set()
        with pytest.raises(pykka.ActorDeadError):
            behind.get(timeout=SECONDS)
        assert actor.hooks == ["on_failure"]


def test_the_dead_refuse_tells_at_once_and_asks_in_their_answer() -> None:
    with started() as (ref, _):
        ref.stop(timeout=SECONDS)
        with pytest.raises(pykka.ActorDeadError):
            ref.tell("late")
        answer = ref.ask("late", block=False)
        with pytest.raises(pykka.ActorDeadError):
            answer.get(timeout=SECONDS)
        assert ref.stop(timeout=SECONDS) is False


def test_a_coroutine_of_a_handler_is_sent_back_and_not_run() -> None:
    with started() as (ref, _):
        answer = ref.ask("later", timeout=SECONDS)
        assert inspect.iscoroutine(answer)
        answer.close()


async def test_awaiting_a_stock_future_blocks_the_loop_until_the_answer_is_there() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    with started() as (ref, actor):
        ref.tell("wait")
        answer = ref.ask("question", block=False)
        ticking = asyncio.ensure_future(tick())
        await asyncio.sleep(0)
        before = ticks
        threading.Timer(0.05, actor.go_on.set).start()
        assert await answer == "question"
        assert ticks - before <= 1
        ticking.cancel()


def test_a_future_made_of_others_asks_them_when_it_is_asked() -> None:
    with started() as (ref, actor):
        ref.tell("wait")
        doubled = ref.ask(21, block=False).map(lambda number: number * 2)
        actor.go_on.set()
        assert doubled._get_hook is not None
        assert doubled.get(timeout=SECONDS) == 42


def test_tell_never_waits_however_many_wait_already() -> None:
    with started() as (ref, actor):
        ref.tell("wait")
        for number in range(20_000):
            ref.tell(number)
        assert actor.actor_inbox.qsize() >= 20_000  # type: ignore[attr-defined] # a thread actor's inbox is a queue
        actor.go_on.set()


def test_the_registry_is_one_for_the_whole_process() -> None:
    with started() as (ref, _):
        seen: list[Any] = []
        look: Callable[[], None] = lambda: seen.extend(pykka.ActorRegistry.get_all())  # noqa: E731 - one thread's work
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [ref]
