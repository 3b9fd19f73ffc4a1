"""The actor on the event loop, against what pykka promises of its own actors."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pykka
import pytest
import structlog.testing

from actors.base import AsyncActor, AsyncFuture, BlockingOnLoop, end

SECONDS = 5.0
"""A bound on every wait: reached only by what hangs."""


class Probe(AsyncActor):
    """Does what it is told, and remembers what it was told."""

    def __init__(self, *, report: Callable[[BaseException], None] | None = None) -> None:
        super().__init__(report=report)
        self.seen: list[Any] = []
        self.ended: list[str] = []
        self.busy = asyncio.Event()
        self.go_on = asyncio.Event()
        self.fails_to_close = False

    async def receive(self, message: Any) -> Any:
        self.seen.append(message)
        if isinstance(message, Exception):
            raise message
        if isinstance(message, tuple) and isinstance(message[0], Coroutine):
            self.spawn(message[0], "listener")
        elif message == "hang":
            self.busy.set()
            await self.go_on.wait()
        elif message == "await something cancelled":
            inner = asyncio.get_running_loop().create_future()
            inner.cancel()
            await inner
        return message

    async def closing(self) -> None:
        self.ended.append("closed")
        if self.fails_to_close:
            raise ValueError("cannot close")

    def plain(self, number: int) -> int:
        return number + 1

    async def later(self, number: int) -> int:
        await asyncio.sleep(0)
        return number + 2


class Life:
    """A started probe, the object itself, and what it reported."""

    def __init__(self) -> None:
        self.deaths: list[BaseException] = []
        self.died = asyncio.Event()
        made: list[Probe] = []

        class Caught(Probe):
            def __init__(self) -> None:
                super().__init__(report=mine.died_of)
                made.append(self)

        mine = self
        self.ref: pykka.ActorRef[Any] = Caught.start()
        self.actor = made[0]

    def died_of(self, error: BaseException) -> None:
        self.deaths.append(error)
        self.died.set()

    async def death(self) -> BaseException:
        await asyncio.wait_for(self.died.wait(), SECONDS)
        return self.deaths[-1]


@pytest.fixture
async def life() -> AsyncIterator[Life]:
    life = Life()
    yield life
    await end(life.ref, SECONDS)


async def within(waiting: Any) -> Any:
    return await asyncio.wait_for(_awaited(waiting), SECONDS)


async def _awaited(waiting: Any) -> Any:
    return await waiting


# --- messages --------------------------------------------------------------------------------------------------------


async def test_messages_are_handled_one_at_a_time_and_in_order(life: Life) -> None:
    life.ref.tell("hang")
    for number in range(100):
        life.ref.tell(number)
    await within(life.actor.busy.wait())
    assert (life.actor.seen, life.actor.queued) == (["hang"], 100)
    life.actor.go_on.set()
    assert await within(life.ref.ask("last", block=False)) == "last"
    assert life.actor.seen == ["hang", *range(100), "last"]


async def test_what_was_told_of_a_kind_is_taken_out_of_turn_and_in_order(life: Life) -> None:
    life.ref.tell("hang")
    await life.actor.busy.wait()
    for message in (1, "other", 2):
        life.ref.tell(message)
    answer = life.ref.ask(3, block=False)
    assert life.actor.also_told(int) == [1, 2]
    assert life.actor.also_told(int) == []
    life.actor.go_on.set()
    assert await within(answer) == 3
    assert life.actor.seen == ["hang", "other", 3]


async def test_tells_from_another_thread_arrive_in_order_and_wake_the_actor(life: Life) -> None:
    def tell_all() -> None:
        for number in range(1_000):
            life.ref.tell(number)

    await asyncio.to_thread(tell_all)
    await within(life.ref.ask("done", block=False))
    assert life.actor.seen == [*range(1_000), "done"]


async def test_another_thread_may_ask_and_block_for_the_answer(life: Life) -> None:
    assert await asyncio.to_thread(life.ref.ask, "question", timeout=SECONDS) == "question"


async def test_an_answer_can_be_read_twice_and_by_two_readers(life: Life) -> None:
    future = life.ref.ask("question", block=False)
    assert await within(asyncio.gather(_awaited(future), _awaited(future))) == ["question", "question"]
    assert future.get() == "question"


async def test_a_reader_that_is_cancelled_does_not_take_the_answer_with_it(life: Life) -> None:
    life.ref.tell("hang")
    future = life.ref.ask("question", block=False)
    impatient = asyncio.ensure_future(_awaited(future))
    await within(life.actor.busy.wait())
    impatient.cancel()
    life.actor.go_on.set()
    assert await within(future) == "question"


# --- blocking on the loop --------------------------------------------------------------------------------------------


async def test_a_blocking_get_on_the_loop_raises_instead_of_hanging(life: Life) -> None:
    future = life.ref.ask("question", block=False)
    with pytest.raises(BlockingOnLoop):
        future.get(timeout=SECONDS)
    assert await within(future) == "question"


async def test_a_blocking_ask_and_a_blocking_stop_raise_on_the_loop_too(life: Life) -> None:
    with pytest.raises(BlockingOnLoop):
        life.ref.ask("question")
    with pytest.raises(BlockingOnLoop):
        life.ref.stop()


async def test_a_get_in_a_thread_times_out_as_pykka_says(life: Life) -> None:
    life.ref.tell("hang")
    with pytest.raises(pykka.Timeout):
        await asyncio.to_thread(life.ref.ask, "question", timeout=0.01)
    life.actor.go_on.set()


async def test_a_timeout_that_the_actor_raises_is_its_answer_and_no_timeout_of_ours(life: Life) -> None:
    with pytest.raises(TimeoutError, match="mine") as caught:
        await asyncio.to_thread(life.ref.ask, TimeoutError("mine"), timeout=SECONDS)
    assert not isinstance(caught.value, pykka.Timeout)


# --- futures made of futures -----------------------------------------------------------------------------------------


async def test_a_stop_can_be_awaited(life: Life) -> None:
    assert await within(life.ref.stop(block=False)) is True
    assert await within(life.ref.stop(block=False)) is False


async def test_mapped_and_joined_answers_can_be_awaited(life: Life) -> None:
    one, two = life.ref.ask(1, block=False), life.ref.ask(2, block=False)
    assert await within(one.map(lambda number: number * 10)) == 10
    assert await within(life.ref.ask(3, block=False).join(two, one)) == [3, 2, 1]


async def test_a_future_takes_one_answer_only() -> None:
    future = AsyncFuture()
    future.set(1)
    with pytest.raises(queue.Full):
        future.set(2)
    with pytest.raises(queue.Full):
        future.set_exception((ValueError, ValueError(), None))
    with pytest.raises(queue.Full):
        future.set_get_hook(lambda _: 3)
    assert await within(future) == 1


async def test_an_actor_that_blocks_on_the_loop_crashes_its_asker_and_not_the_loop(life: Life) -> None:
    never = AsyncFuture()
    with pytest.raises(BlockingOnLoop):
        await within(life.ref.ask(BlockingOnLoop(never), block=False))


# --- proxies ---------------------------------------------------------------------------------------------------------


async def test_a_proxy_calls_plain_and_async_methods_and_reads_attributes(life: Life) -> None:
    proxy = life.ref.proxy()
    assert await within(proxy.plain(1)) == 2
    assert await within(proxy.later(1)) == 3
    assert await within(proxy.queued) == 0
    with pytest.raises(BlockingOnLoop):  # pykka waits for the answer when it sets one
        proxy.fails_to_close = False


# --- failure ---------------------------------------------------------------------------------------------------------


async def test_a_crash_in_the_first_message_is_reported_and_ends_the_actor(life: Life) -> None:
    life.ref.tell(ValueError("begin"))
    assert repr(await life.death()) == "ValueError('begin')"
    assert not life.ref.is_alive()
    assert life.actor.ended == []


async def test_a_crash_on_tell_is_reported_once_and_what_was_told_behind_it_vanishes(life: Life) -> None:
    life.ref.tell(ValueError("first"))
    life.ref.tell(ValueError("second"))
    await life.death()
    await end(life.ref, SECONDS)
    assert list(map(repr, life.deaths)) == ["ValueError('first')"]
    assert len(life.actor.seen) == 1


async def test_a_crash_on_ask_goes_to_the_asker_and_the_actor_lives_on(life: Life) -> None:
    with pytest.raises(ValueError, match="asked"):
        await within(life.ref.ask(ValueError("asked"), block=False))
    assert await within(life.ref.ask("still here", block=False)) == "still here"
    assert life.deaths == []


async def test_those_who_asked_behind_a_crash_are_told_that_the_actor_is_dead(life: Life) -> None:
    life.ref.tell(ValueError("crash"))
    behind = life.ref.ask("anybody?", block=False)
    with pytest.raises(pykka.ActorDeadError):
        await within(behind)


async def test_those_who_asked_behind_a_stop_are_told_that_the_actor_is_dead(life: Life) -> None:
    stopped = life.ref.stop(block=False)
    behind = life.ref.ask("anybody?", block=False)
    with pytest.raises(pykka.ActorDeadError):
        await within(behind)
    assert await within(stopped) is True


async def test_a_dead_actor_refuses_what_comes_late(life: Life) -> None:
    await end(life.ref, SECONDS)
    with pytest.raises(pykka.ActorDeadError):
        life.ref.tell("late")
    with pytest.raises(pykka.ActorDeadError):
        await within(life.ref.ask("late", block=False))


async def test_something_cancelled_inside_a_handler_is_a_crash_like_any_other(life: Life) -> None:
    life.ref.tell("await something cancelled")
    assert isinstance(await life.death(), asyncio.CancelledError)
    assert not life.ref.is_alive()


async def test_something_cancelled_inside_an_answer_goes_to_the_asker(life: Life) -> None:
    with pytest.raises(asyncio.CancelledError):
        await within(life.ref.ask("await something cancelled", block=False))
    assert await within(life.ref.ask("still here", block=False)) == "still here"


async def test_a_failure_while_closing_is_logged_and_the_actor_ends(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    life.actor.fails_to_close = True
    with structlog.testing.capture_logs() as logs:
        await end(life.ref, SECONDS)
        gc.collect()
    assert [entry["event"] for entry in logs] == ["closing_failed"]
    assert caplog.records == []
    assert life.deaths == []


# --- listeners -------------------------------------------------------------------------------------------------------


async def listen_until(event: asyncio.Event, error: BaseException | None = None) -> None:
    await event.wait()
    if error is not None:
        raise error


async def test_a_listener_that_dies_kills_the_actor_in_its_own_turn(life: Life) -> None:
    trouble = asyncio.Event()
    life.ref.tell((listen_until(trouble, OSError("socket")),))
    life.ref.tell("hang")
    await within(life.actor.busy.wait())
    life.ref.tell("queued before")
    trouble.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert life.ref.is_alive()
    life.actor.go_on.set()
    assert repr(await life.death()) == "OSError('socket')"
    assert life.actor.seen[-1] == "queued before"


async def test_a_listener_that_returns_is_no_failure(life: Life) -> None:
    done = asyncio.Event()
    done.set()
    await within(life.ref.ask((listen_until(done),), block=False))
    assert await within(life.ref.ask("still here", block=False)) == "still here"


async def test_a_listener_that_is_cancelled_by_what_it_awaits_has_died(life: Life) -> None:
    async def awaits_something_cancelled() -> None:
        inner = asyncio.get_running_loop().create_future()
        inner.cancel()
        await inner

    life.ref.tell((awaits_something_cancelled(),))
    assert isinstance(await life.death(), asyncio.CancelledError)


async def test_listeners_end_with_their_actor(life: Life) -> None:
    ended = asyncio.Event()

    async def listen() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await within(life.ref.ask((listen(),), block=False))
    await asyncio.sleep(0)
    await end(life.ref, SECONDS)
    assert ended.is_set()
    assert life.actor.ended == ["closed"]


async def test_askers_do_not_wait_for_a_listener_that_ends_slowly(life: Life) -> None:
    may_end, listening = asyncio.Event(), asyncio.Event()

    async def ends_slowly() -> None:
        listening.set()
        try:
            await asyncio.Event().wait()
        finally:
            await may_end.wait()

    life.ref.tell((ends_slowly(),))
    await within(listening.wait())
    stopped = life.ref.stop(block=False)
    behind = life.ref.ask("anybody?", block=False)
    await within(stopped)
    with pytest.raises(pykka.ActorDeadError):
        await within(behind)
    may_end.set()


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_an_orderly_end_handles_what_was_queued_and_then_closes(life: Life) -> None:
    life.ref.tell("queued")
    await end(life.ref, SECONDS)
    assert (life.actor.seen, life.actor.ended) == (["queued"], ["closed"])


async def test_a_handler_that_hangs_is_cancelled_and_its_asker_is_told(life: Life) -> None:
    hanging = life.ref.ask("hang", block=False)
    await within(life.actor.busy.wait())
    await within(end(life.ref, 0.01))
    assert not life.ref.is_alive()
    with pytest.raises(pykka.ActorDeadError):
        await within(hanging)


async def test_ending_twice_and_ending_the_dead_is_harmless(life: Life) -> None:
    await asyncio.gather(end(life.ref, SECONDS), end(life.ref, SECONDS))
    await end(life.ref, SECONDS)
    assert life.actor.ended == ["closed"]


async def test_an_end_that_is_cut_short_cancels_the_actor(life: Life) -> None:
    life.ref.tell("hang")
    await within(life.actor.busy.wait())
    ending = asyncio.ensure_future(end(life.ref, 60.0))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait((ending,))
    await within(end(life.ref, SECONDS))
    assert not life.ref.is_alive()


def test_an_actor_cannot_start_where_no_loop_runs_and_leaves_nothing_behind() -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            Probe.start()
        except RuntimeError as error:
            failures.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert len(failures) == 1
    assert pykka.ActorRegistry.get_all() == []
