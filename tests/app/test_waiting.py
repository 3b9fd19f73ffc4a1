"""Whoever asks has an answer in time, also when a node has none; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from indexer.app.waiting import DEAD_SECONDS, LONGEST_SECONDS, Waiting, together
from indexer.errors import BadAnswer, GivenUp
from tests.sim.clock import play

T = TypeVar("T")

Outage = Callable[[], str | None]


async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


def waited(seconds: float, outage: Outage = lambda: None) -> tuple[str, float]:
    """What a wait for something slow comes to, and how long that takes."""

    async def story() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            found = await Waiting().answer(slow(seconds), "chain 1", outage)
        except GivenUp as error:
            found = str(error)
        return found, loop.time() - began

    return played(story())


def played(story: Coroutine[Any, Any, T]) -> T:
    found: list[T] = []

    async def noted() -> None:
        found.append(await story)

    play(noted())
    return found[0]


def test_an_answer_in_time_is_handed_on_at_once() -> None:
    found, seconds = waited(11.9)
    assert (found, round(seconds, 3)) == ("done", 11.9)


def test_a_node_that_keeps_us_waiting_is_given_up_on() -> None:
    found, seconds = waited(1_000)
    assert found == "chain 1 has not answered this within 12 s"
    assert LONGEST_SECONDS <= seconds < LONGEST_SECONDS + 0.3


def test_where_nobody_can_be_asked_nobody_waits_long() -> None:
    found, seconds = waited(1_000, lambda: "one: HTTP 401")
    assert found == "no endpoint of chain 1 can be asked just now; /api/v1/status says why"
    assert DEAD_SECONDS <= seconds < DEAD_SECONDS + 0.3


def test_an_endpoint_that_is_back_in_time_is_waited_for() -> None:
    async def story() -> str:
        loop = asyncio.get_running_loop()
        back_at = loop.time() + DEAD_SECONDS - 0.5
        return await Waiting().answer(slow(5), "chain 1", lambda: None if loop.time() > back_at else "one: down")

    assert played(story()) == "done"


def test_what_failed_is_raised_as_it_is() -> None:
    async def fails() -> None:
        raise BadAnswer("nonsense")

    with pytest.raises(BadAnswer, match="nonsense"):
        played(Waiting().answer(fails(), "chain 1", lambda: None))


def test_all_who_wait_are_told_when_the_service_stops_and_nobody_waits_from_then_on() -> None:
    async def story() -> list[str]:
        waiting, loop = Waiting(), asyncio.get_running_loop()
        asked = [asyncio.ensure_future(waiting.answer(slow(100), "chain 1", lambda: None)) for _ in range(3)]
        await asyncio.sleep(1)
        began = loop.time()
        waiting.end()
        asked.append(asyncio.ensure_future(waiting.answer(slow(100), "chain 1", lambda: None)))
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert loop.time() - began < 0.1
        return [str(end) for end in ends if isinstance(end, GivenUp)]

    assert played(story()) == ["the service stops"] * 4


def test_what_has_a_bound_of_its_own_is_waited_for_unless_the_service_stops() -> None:
    async def story() -> str:
        waiting = Waiting()
        asyncio.get_running_loop().call_later(60, waiting.end)
        assert await waiting.unless_over(slow(30)) == "done"
        with pytest.raises(GivenUp, match="the service stops"):
            await waiting.unless_over(slow(1_000))
        return "told"

    assert played(story()) == "told"


def test_what_was_given_up_on_does_not_go_on() -> None:
    async def story() -> bool:
        is_over = asyncio.Event()

        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                is_over.set()

        with pytest.raises(GivenUp):
            await Waiting().answer(endless(), "chain 1", lambda: None)
        await asyncio.sleep(0)
        return is_over.is_set()

    assert played(story())


def test_where_one_of_many_fails_the_others_have_ended_before_that_is_told() -> None:
    async def story() -> list[str]:
        done: list[str] = []

        async def part(seconds: float) -> float:
            try:
                await asyncio.sleep(seconds)
            finally:
                done.append(f"{seconds:g} ended")
            if seconds == 2:
                raise BadAnswer("nonsense")
            return seconds

        assert await together(part(1), part(3)) == [1, 3]
        done.clear()
        with pytest.raises(BadAnswer, match="nonsense"):
            await together(part(1), part(2), part(1_000))
        return done

    assert played(story()) == ["1 ended", "2 ended", "1000 ended"]
