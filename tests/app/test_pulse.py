"""A store that says nothing is told from one that is slow; in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from indexer.app.pulse import PING_SECONDS, SILENT_SECONDS, Pulse, watched
from indexer.errors import StoreUnavailable, StoreUnusable
from tests.sim.clock import play


class Server:
    """Answers a ping after so many seconds."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error


async def _felt(pulse: Pulse) -> tuple[bool, float]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    return await pulse.is_felt(), round(loop.time() - began, 3)


def test_a_slow_store_is_no_silent_one() -> None:
    async def story() -> None:
        assert await _felt(Pulse(Server(1.5).ping)) == (True, 1.5)

    play(story())


def test_many_who_ask_a_frozen_store_send_one_ping_and_later_ones_need_not_wait() -> None:
    async def story() -> None:
        server = Server(30)
        pulse = Pulse(server.ping)
        assert await asyncio.gather(*(_felt(pulse) for _ in range(5))) == [(False, SILENT_SECONDS)] * 5
        assert await _felt(pulse) == (False, 0)
        assert server.pings == 1
        await asyncio.sleep(30)
        server.seconds = 0
        assert await _felt(pulse) == (True, 0)
        server.seconds = 30
        assert not await pulse.is_felt()
        await pulse.close()

    play(story())


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), StoreUnusable("closed")])
def test_a_store_that_refuses_says_nothing_either(error: Exception) -> None:
    async def story() -> None:
        assert await _felt(Pulse(Server(0.5, error).ping)) == (False, 0.5)

    play(story())


def test_what_is_the_matter_with_the_store_is_told_until_it_is_lost_for_good() -> None:
    told: list[object] = []

    async def story() -> None:
        server = Server(0, StoreUnavailable("gone"))
        watch = asyncio.create_task(watched(server.ping, ill=told.append, lost=told.append))
        await asyncio.sleep(1)
        server.error = None
        await asyncio.sleep(PING_SECONDS)
        server.error = StoreUnusable("closed")
        await watch
        assert told == ["gone", None, "closed", server.error]

    play(story())
