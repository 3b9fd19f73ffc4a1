"""When an account looks around."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from actors.accounts.lookout import LONGEST_SECONDS, SHORTEST_SECONDS, Lookout
from indexer.domain.beat import BEAT_SECONDS
from tests.sim.clock import play

FAR = 1_000_000.0


async def _looks(*moments: float, every: float = 0.0) -> list[float]:
    """At which seconds it looked, when these were named, one after the other."""
    loop = asyncio.get_running_loop()
    began, looked = loop.time(), list[float]()
    lookout = Lookout(lambda: looked.append(round(loop.time() - began, 2)))
    for moment in moments:
        lookout.by(began + moment)
        await asyncio.sleep(every)
    await asyncio.sleep(LONGEST_SECONDS + 5)
    return looked


def test_it_looks_once_when_the_next_thing_is_due_by_what_was_said_last() -> None:
    assert play(_looks(2, 1)) == [1]
    assert play(_looks(1, 2)) == [2]


def test_what_is_put_off_again_and_again_is_looked_for_at_last() -> None:
    assert play(_looks(2, 3, 4, 5, 6, 7, every=1)) == [7]


def test_what_is_due_is_not_put_off_by_those_who_name_it_again() -> None:
    assert play(_looks(1, 1, 1, 1, 1, 1, 1, 1, every=0.2)) == [1, 1.45]


def test_what_is_far_is_looked_for_together_with_others_and_never_too_early() -> None:
    assert play(_looks(7.1)) == [7.25]
    assert play(_looks(1.1)) == [1.1]


def test_it_never_looks_at_once_nor_later_than_in_a_while() -> None:
    assert play(_looks(-5)) == [SHORTEST_SECONDS]
    assert play(_looks(FAR)) == [pytest.approx(LONGEST_SECONDS, abs=BEAT_SECONDS)]
    assert len(play(_looks(*([FAR] * 70), every=1))) == 3


class _Untimed(asyncio.Handle):
    """As uvloop gives it for a moment that is nearly there: it cannot say when."""

    def __init__(self, timer: asyncio.TimerHandle, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(lambda: None, (), loop)
        self._timer = timer

    def cancel(self) -> None:
        self._timer.cancel()


async def _looks_by_untimed_handles(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    loop = asyncio.get_running_loop()
    call_at = loop.call_at

    def untimed(when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
        return _Untimed(call_at(when, callback, *args, context=context), loop)

    monkeypatch.setattr(loop, "call_at", untimed)
    return await _looks(2, 1, 3, 1, every=0.1)


def test_a_handle_that_cannot_say_when_it_rings_ends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(_looks_by_untimed_handles(monkeypatch)) == [1]
