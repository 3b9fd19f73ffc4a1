"""A pykka actor that is a task on the event loop; the only file that touches pykka's private names."""

from __future__ import annotations

import asyncio
import inspect
import queue
import sys
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future as ThreadFuture
from types import TracebackType
from typing import Any, TypeVar

import pykka
import structlog
from pykka import messages

from actors.inbox import Inbox

log = structlog.get_logger(__name__)

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
Report = Callable[[BaseException], None]

T = TypeVar("T")


class BlockingOnLoop(RuntimeError):
    """A blocking `.get()` on the event loop would wait for itself for ever; await `future` instead."""

    def __init__(self, future: AsyncFuture) -> None:
        super().__init__("await this future: a blocking get() would stop the event loop")
        self.future = future


class AsyncFuture(pykka.Future[Any]):
    """A pykka future that is awaited on the loop; other threads may block on `get`."""

    def __init__(self) -> None:
        super().__init__()
        self._result: ThreadFuture[Any] = ThreadFuture()
        self._loop = _running_loop()

    def get(self, *, timeout: float | None = None) -> Any:
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if not self._result.done() and _running_loop() is not None:
            raise BlockingOnLoop(self)
        try:
            return self._result.result(timeout)
        except TimeoutError as error:
            if self._result.done():
                raise
            raise pykka.Timeout(f"{timeout} seconds") from error

    def set(self, value: Any | None = None) -> None:
        self._refuse_second_answer()
        self._result.set_result(value)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        self._refuse_second_answer()
        kind, error, traceback = exc_info or sys.exc_info()
        if error is None:
            error = (kind or RuntimeError)()
        self._result.set_exception(error.with_traceback(traceback) if traceback else error)

    def set_get_hook(self, func: Callable[[float | None], Any]) -> None:
        self._refuse_second_answer()
        super().set_get_hook(func)

    def __await__(self) -> Generator[Any, None, Any]:
        if self._get_hook is None:
            yield from self.answered()
            return self._result.result()
        missing: AsyncFuture | None = None
        while True:
            try:
                return self.get()
            except BlockingOnLoop as blocked:  # made of others: wait for the first that has no answer yet
                if blocked.future is missing:
                    raise
                missing = blocked.future
            yield from missing.answered()

    def answered(self) -> Generator[Any, None, None]:
        """Wait, whatever the answer is."""
        if self._result.done():
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def wake(_: object) -> None:
            if _running_loop() is loop:
                _settle(waiter)
            else:
                loop.call_soon_threadsafe(_settle, waiter)

        self._result.add_done_callback(wake)
        yield from waiter.__await__()

    def _refuse_second_answer(self) -> None:
        if self._result.done() or self._get_hook is not None:
            raise queue.Full


class AsyncActor(pykka.Actor):
    """Handlers may be coroutines; one message at a time, in order.

    A crash on `tell`, or of a task made with `spawn`, ends the actor and is handed to `report`; a crash on `ask`
    goes to the asker and the actor lives on.
    """

    def __init__(self, *, report: Report | None = None) -> None:
        super().__init__()
        self._report = report
        self._children: dict[asyncio.Task[None], None] = {}
        """Oldest first: a set has no order that a test could repeat."""

    async def receive(self, message: Any) -> Any:
        """Handle one message."""
        raise NotImplementedError

    async def closing(self) -> None:
        """Clean up after the last message of an orderly stop, while the listeners are gone already."""

    def over(self) -> None:
        """Called once, however it came to its end, when its listeners have ended."""

    @property
    def queued(self) -> int:
        return len(self._inbox)

    def also_told(self, kind: type[T]) -> list[T]:
        """Messages of this kind that wait behind the one that is handled: they are handled with it."""
        return self._inbox.take(kind)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a listener beside the inbox; when it fails, the actor fails, in its own turn."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._children[task] = None
        task.add_done_callback(self._listener_ended)
        return task

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, _ListenerDied):
            raise message.error
        return self.receive(message)

    @property
    def _inbox(self) -> Inbox:
        assert isinstance(self.actor_inbox, Inbox)  # noqa: S101 - narrows pykka's type for mypy
        return self.actor_inbox

    @staticmethod
    def _create_actor_inbox() -> Inbox:
        return Inbox()

    @staticmethod
    def _create_future() -> AsyncFuture:
        return AsyncFuture()

    def _start_actor_loop(self) -> None:
        self._inbox.reader = asyncio.get_running_loop().create_task(self._live(), name=str(self))

    async def _live(self) -> None:
        inbox = self._inbox
        failure: BaseException | None = None
        try:
            while not self.actor_stopped.is_set():
                await inbox.filled()
                failure = await self._take_envelope(inbox.get())
                if failure is not None:
                    break
        finally:
            self._unregister()
            self._refuse_the_rest()
            try:
                await self._end_listeners()
            finally:
                self.over()
        if failure is None:
            await self._close()
        elif self._report is not None:
            self._report(failure)

    async def _take_envelope(self, envelope: Any) -> BaseException | None:
        """Handle one envelope; what ends the actor is returned."""
        try:
            response = self._handle_receive(envelope.message)
            if inspect.isawaitable(response):
                response = await response
        except (Exception, asyncio.CancelledError) as error:  # the boundary: to the asker, or to the supervisor
            if isinstance(error, asyncio.CancelledError) and _is_cancelled(asyncio.current_task()):
                self._inbox.put(envelope)  # back to the others, which are refused now
                raise
            if envelope.reply_to is None:
                return error
            envelope.reply_to.set_exception()
            return None
        if envelope.reply_to is not None:
            envelope.reply_to.set(response)
        return None

    def _listener_ended(self, task: asyncio.Task[None]) -> None:
        self._children.pop(task, None)
        error: BaseException | None = None
        if not task.cancelled():
            error = task.exception()
        elif not _is_cancelled(task):
            error = asyncio.CancelledError(f"{task.get_name()} awaited what was cancelled")
        if error is not None and not self.actor_stopped.is_set():
            self.actor_ref.tell(_ListenerDied(error))

    async def _end_listeners(self) -> None:
        children = tuple(self._children)
        for child in children:
            child.cancel()
        await asyncio.gather(*children, return_exceptions=True)

    async def _close(self) -> None:
        try:
            await self.closing()
        except Exception:  # the boundary: it ends anyway, and nobody is left who could do better
            log.exception("closing_failed", actor=type(self).__name__)

    def _unregister(self) -> None:
        self.actor_stopped.set()
        pykka.ActorRegistry.unregister(self.actor_ref)

    def _refuse_the_rest(self) -> None:
        self._actor_loop_teardown()


class _ListenerDied:
    """A task of the actor's failed with this."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def queued(ref: pykka.ActorRef[Any] | None) -> int:
    """How many messages wait for this actor."""
    return len(ref.actor_inbox) if ref is not None and isinstance(ref.actor_inbox, Inbox) else 0


async def end(ref: pykka.ActorRef[Any], seconds: float) -> None:
    """Stop an actor in its turn; when it does not get there in time (or the caller's is over), wherever it is."""
    inbox = ref.actor_inbox
    task = inbox.reader if isinstance(inbox, Inbox) else None
    if task is None:
        return
    if ref.is_alive():
        ref.tell(messages._ActorStop())  # noqa: SLF001
    try:
        await asyncio.wait((task,), timeout=seconds)
    finally:
        task.cancel()
    await asyncio.wait((task,))


def cut_short(ref: pykka.ActorRef[Any]) -> None:
    """Cancel an actor wherever it is, without waiting for it."""
    inbox = ref.actor_inbox
    if isinstance(inbox, Inbox) and inbox.reader is not None:
        inbox.reader.cancel()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _is_cancelled(task: asyncio.Task[Any] | None) -> bool:
    """Whether somebody cancelled this task; otherwise it only awaited something that was cancelled."""
    return task is not None and task.cancelling() > 0
