"""In which order those that wait for the same limit have their turns, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from indexer.clients.exchange.throttle import Bucket, Limit
from indexer.clients.exchange.turns import HEAD_START_SECONDS, pressing
from tests.sim.clock import play


class _Queue:
    """A bucket that lets one go about every second, and who went when."""

    def __init__(self) -> None:
        self.bucket = Bucket(Limit(94, 60))
        self.gone: list[str] = []

    def ask(self, name: str, presses: Callable[[], bool] = lambda: False) -> asyncio.Task[None]:
        async def take() -> None:
            with pressing(presses):
                await self.bucket.take(1)
            self.gone.append(name)

        return asyncio.create_task(take())

    async def use_up(self) -> None:
        await asyncio.gather(*(self.ask("burst") for _ in range(20)))
        self.gone.clear()


def test_who_presses_goes_before_those_that_came_earlier() -> None:
    async def story() -> None:
        queue = _Queue()
        await queue.use_up()
        asked = [queue.ask("usual") for _ in range(5)]
        await asyncio.sleep(0.5)
        asked += [queue.ask("pressing 1", lambda: True), queue.ask("pressing 2", lambda: True)]
        await asyncio.gather(*asked)
        assert queue.gone == ["usual", "pressing 1", "pressing 2", "usual", "usual", "usual", "usual"]

    play(story())


def test_who_comes_to_press_while_it_waits_goes_next() -> None:
    async def story() -> None:
        queue, pressed = _Queue(), set[str]()
        await queue.use_up()
        asked = [queue.ask(name, partial(pressed.__contains__, name)) for name in "abcd"]
        await asyncio.sleep(0.5)
        pressed.add("d")
        await asyncio.gather(*asked)
        assert queue.gone == ["a", "d", "b", "c"]

    play(story())


def test_nobody_is_overtaken_for_ever() -> None:
    async def story() -> None:
        queue = _Queue()
        await queue.use_up()
        usual = [queue.ask("usual") for _ in range(3)]
        pressing_on = []
        for _ in range(200):
            pressing_on.append(queue.ask("pressing", lambda: True))
            await asyncio.sleep(0.5)
            if all(one.done() for one in usual):
                break
        assert all(one.done() for one in usual)
        assert HEAD_START_SECONDS - 5 < len(pressing_on) * 0.5 < 3 * HEAD_START_SECONDS
        for one in pressing_on:
            one.cancel()
        await asyncio.gather(*pressing_on, return_exceptions=True)

    play(story())


def test_who_is_cancelled_in_the_moment_of_its_turn_leaves_it_to_the_next() -> None:
    async def story() -> None:
        queue = _Queue()
        await queue.use_up()
        first, second, third = queue.ask("first"), queue.ask("second"), queue.ask("third")
        first.add_done_callback(lambda _: second.cancel())
        await asyncio.wait_for(asyncio.gather(first, third), 10)
        assert queue.gone == ["first", "third"]
        await asyncio.wait_for(queue.ask("fourth"), 10)

    play(story())
