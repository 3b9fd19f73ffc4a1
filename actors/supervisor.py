"""Starts children, restarts the dead with growing pauses, and gives up when they keep dying."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from pykka import ActorRef

from actors.base import AsyncActor, Report, cut_short, end
from actors.messages import ChildDied, RestartDue
from indexer.domain.restarts import Deaths, GiveUp, RestartAfter, RestartPolicy, after_death
from indexer.errors import BeginsAnew

log = structlog.get_logger(__name__)

STOP_SECONDS = 1.5
"""A child that is in the middle of something gets this long before it is cancelled."""


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start an actor and keep it alive; `start` is called again for every life, with where to report its death."""

    name: str
    start: Callable[[Report], ActorRef[Any]]
    given_up: Callable[[BaseException], None] | None = None
    """Called, once, in place of the supervisor's own when this one cannot be kept alive: the others can do without."""


@dataclass(frozen=True, slots=True)
class StopChild:
    """End a child and forget it; answers once it has ended."""

    name: str


@dataclass(slots=True)
class _Child:
    order: StartChild
    ref: ActorRef[Any]
    born: float
    deaths: Deaths
    pause: asyncio.TimerHandle | None = None
    begins_anew: bool = False
    """It asked for its next life: nothing failed."""


class Supervisor(AsyncActor):
    """The parent of every other actor; `give_up` is called once, when a child cannot be kept alive."""

    def __init__(
        self,
        *,
        give_up: Callable[[str, BaseException], None],
        policy: RestartPolicy | None = None,
        restarted: Callable[[str, int], None] = lambda _name, _count: None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        report: Report | None = None,
    ) -> None:
        super().__init__(report=report)
        self._give_up = give_up
        self._policy = policy or RestartPolicy()
        self._restarted = restarted
        self._clock = clock
        self._jitter = jitter
        self._kept: dict[str, _Child] = {}
        self._gave_up = False

    async def receive(self, message: Any) -> Any:
        match message:
            case StartChild():
                return self._start_new(message)
            case StopChild():
                await self._stop_child(message.name)
            case ChildDied():
                self._bury(message)
            case RestartDue():
                self._restart(message.name)
        return None

    async def closing(self) -> None:
        try:
            for name in reversed(tuple(self._kept)):
                await self._stop_child(name)
        finally:  # our own time may be over before all of them had theirs
            for child in self._kept.values():
                cut_short(child.ref)

    def _start_new(self, order: StartChild) -> ActorRef[Any]:
        child = self._kept.get(order.name)
        if child is not None and child.ref.is_alive():
            raise ValueError(f"a child named {order.name!r} lives already")
        return self._start(order, Deaths())

    def _start(self, order: StartChild, deaths: Deaths) -> ActorRef[Any]:
        ref = order.start(lambda error: self._post(ChildDied(order.name, error)))
        self._kept[order.name] = _Child(order, ref, self._clock(), deaths)
        return ref

    def _post(self, message: object) -> None:
        if self.actor_ref.is_alive():
            self.actor_ref.tell(message)

    def _bury(self, message: ChildDied) -> None:
        child = self._kept.get(message.name)
        if child is None or child.ref.is_alive():
            return
        lived = self._clock() - child.born
        match after_death(self._policy, child.deaths, lived, self._jitter()):
            case RestartAfter(seconds, deaths):
                child.begins_anew = isinstance(message.error, BeginsAnew)
                _tell(message, seconds, deaths)
                child.deaths = deaths
                loop = asyncio.get_running_loop()
                child.pause = loop.call_later(seconds, self._post, RestartDue(message.name))
            case GiveUp(deaths):
                log.critical("actor_given_up", actor=message.name, deaths=deaths.in_a_row, error=repr(message.error))
                if child.order.given_up is not None:
                    child.order.given_up(message.error)
                elif not self._gave_up:
                    self._gave_up = True
                    self._give_up(message.name, message.error)

    def _restart(self, name: str) -> None:
        child = self._kept.get(name)
        if child is None or child.ref.is_alive():
            return
        if not child.begins_anew:
            self._restarted(name, child.deaths.restarts)
        try:
            self._start(child.order, child.deaths)
        except Exception as error:  # noqa: BLE001 - the boundary: what cannot even start has died; the others live on
            child.born = self._clock()
            self._bury(ChildDied(name, error))

    async def _stop_child(self, name: str) -> None:
        child = self._kept.pop(name, None)
        if child is None:
            return
        if child.pause is not None:
            child.pause.cancel()
        await end(child.ref, STOP_SECONDS)


def _tell(died: ChildDied, seconds: float, deaths: Deaths) -> None:
    pause = round(seconds, 2)
    if isinstance(died.error, BeginsAnew):
        log.info("actor_begins_anew", actor=died.name, restart_in_seconds=pause, reason=str(died.error))
        return
    log.error(
        "actor_died",
        actor=died.name,
        restart_in_seconds=pause,
        restarts=deaths.restarts,
        error=repr(died.error),
        exc_info=died.error,
    )
