"""An event loop whose time jumps to the next thing to do: a simulated day takes seconds.

It is asyncio's own without sockets, threads and debugging: a block of a calm day takes a hundred turns of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context, copy_context
from functools import wraps
from heapq import heapify, heappop, heappush
from typing import Any, Final, ParamSpec, TypeVar, TypeVarTuple

from tests.sim.owners import owned

T = TypeVar("T")
_Given = TypeVarTuple("_Given")
_Fixtures = ParamSpec("_Fixtures")

_Work = Callable[..., Any]
_Handle = Any
"""Ours are no subclasses of asyncio's, and have the methods that others call."""

_STEP_SECONDS: Final = 1e-6
"""Nothing takes no time: who waits for what is left of a pause would else wait for ever for its last 1e-16 s."""
_SAME_SECONDS: Final = 1e-9
"""What is due so soon after is due now, as where the clock of the machine cannot tell them apart."""
_MANY_TIMERS: Final = 100


class _Call:
    """Something to do in the next turn, like `asyncio.Handle`."""

    __slots__ = ("context", "given", "is_cancelled", "work")

    def __init__(self, work: _Work, given: tuple[Any, ...], context: Context | None) -> None:
        self.work = work
        self.given = given
        self.context = copy_context() if context is None else context
        self.is_cancelled = False

    def cancel(self) -> None:
        if not self.is_cancelled:
            self.is_cancelled = True
            self.work, self.given = _nothing, ()

    def cancelled(self) -> bool:
        return self.is_cancelled


class _Timer(float):
    """Something to do at that time, like `asyncio.TimerHandle`.

    A float, since the heap compares floats without a line of Python; equal ones keep the order that asyncio has.
    """

    __slots__ = ("context", "given", "is_cancelled", "loop", "work")

    loop: VirtualLoop | None
    """Whose heap it is in."""
    context: Context
    work: _Work
    given: tuple[Any, ...]
    is_cancelled: bool

    def __bool__(self) -> bool:
        return True

    def when(self) -> float:
        return float(self)

    def cancel(self) -> None:
        if not self.is_cancelled:
            self.is_cancelled = True
            self.work, self.given = _nothing, ()
            if self.loop is not None:
                self.loop.cancelled += 1

    def cancelled(self) -> bool:
        return self.is_cancelled


class VirtualLoop(asyncio.BaseEventLoop):
    """For code that neither reads sockets nor asks other threads."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._calls: deque[_Call | _Timer] = deque()
        self._timers: list[_Timer] = []
        self.cancelled = 0
        """How many of the timers are."""

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def call_soon(
        self, callback: Callable[[*_Given], object], *args: *_Given, context: Context | None = None
    ) -> _Handle:
        call = _Call(callback, args, context)
        self._calls.append(call)
        return call

    def call_soon_threadsafe(
        self, callback: Callable[[*_Given], object], *args: *_Given, context: Context | None = None
    ) -> _Handle:
        """There are no other threads; a signal's handler asks like this too."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*_Given], object], *args: *_Given, context: Context | None = None
    ) -> _Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*_Given], object], *args: *_Given, context: Context | None = None
    ) -> _Handle:
        timer = _Timer(when)
        timer.loop, timer.work, timer.given, timer.is_cancelled = self, callback, args, False
        timer.context = copy_context() if context is None else context
        heappush(self._timers, timer)
        return timer

    def run_in_executor(
        self, _executor: Executor | None, func: Callable[[*_Given], T], *args: *_Given
    ) -> asyncio.Future[T]:
        """There are no other threads: it is done at once."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever waits for it is told
            done.set_exception(error)
        return done

    def close(self) -> None:
        self._calls.clear()
        self._timers.clear()
        super().close()

    def _process_events(self, _events: Any) -> None:
        """Nothing in a simulated world reads from a file descriptor."""

    def _run_once(self) -> None:
        """One turn: where asyncio would sleep, the clock is set forward instead."""
        timers, calls = self._timers, self._calls
        self._forget_cancelled()
        step = 0.0
        if not calls:
            if not timers:
                raise RuntimeError("everything waits and nothing is scheduled: a deadlock")
            step = timers[0] - self._now
        self._now += max(_STEP_SECONDS, step)
        end = self._now + _SAME_SECONDS
        while timers and timers[0] < end:
            timer = heappop(timers)
            timer.loop = None
            calls.append(timer)
        for _ in range(len(calls)):
            call = calls.popleft()
            if call.is_cancelled:
                continue
            try:
                call.context.run(call.work, *call.given)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio does it
                self.call_exception_handler({"message": f"Exception in callback {call.work!r}", "exception": error})

    def _forget_cancelled(self) -> None:
        """As asyncio does it, also for the order of those that are due at the same time."""
        timers = self._timers
        if len(timers) > _MANY_TIMERS and self.cancelled > len(timers) / 2:
            timers[:] = [timer for timer in timers if not timer.is_cancelled]
            heapify(timers)
            self.cancelled = 0
        while timers and timers[0].is_cancelled:
            heappop(timers)
            self.cancelled -= 1


def play(story: Coroutine[Any, Any, T]) -> T:
    """Run a story to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_task_factory(owned)  # type: ignore[arg-type] # its protocol allows awaitables that no task takes
        return runner.run(story)


def in_virtual_time(story: Callable[_Fixtures, Coroutine[Any, Any, None]]) -> Callable[_Fixtures, None]:
    """A test that is played, with its fixtures, which are made outside of that time."""

    @wraps(story)
    def played(*given: _Fixtures.args, **named: _Fixtures.kwargs) -> None:
        play(story(*given, **named))

    return played


def _nothing(*_: Any) -> None: ...
