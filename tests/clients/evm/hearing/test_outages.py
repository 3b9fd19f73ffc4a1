"""What is said of websockets that come and go: virtual time, sockets and second source are played."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from indexer.clients.evm.hearing.heads import HeadFeed
from indexer.clients.evm.transfers.hints import Hints
from indexer.domain.balances import Watch
from indexer.domain.chain import Address
from tests.clients.evm.lines import Place, Second, opening
from tests.sim.clock import play

BLOCK_SECONDS = 1.0
USD = Address("0x" + "d" * 40)


@asynccontextmanager
async def listening(*places: Place, block_seconds: float = BLOCK_SECONDS) -> AsyncIterator[HeadFeed]:
    """A feed on these sockets, of a chain that mines."""
    urls = {f"ws://w{index}": place for index, place in enumerate(places)}
    second, clock = Second(), asyncio.get_running_loop().time
    feed = HeadFeed(
        list(urls), second, chain="test", hints=Hints(), opened=opening(urls), clock=clock, chance=lambda: 0.5
    )

    async def mine() -> None:
        while True:
            await asyncio.sleep(block_seconds)
            second.height += 1
            for place in places:
                place.mine()

    tasks = [asyncio.create_task(mine()), asyncio.create_task(feed.run(lambda _event: None))]
    try:
        await asyncio.sleep(3 * block_seconds)
        yield feed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def said(lines: Sequence[Mapping[str, Any]], name: str) -> Counter[str]:
    return Counter(line["event"] for line in lines if line.get("endpoint") == name)


async def flapping(*places: Place, every_seconds: float, minutes: float) -> None:
    for _ in range(int(minutes * 60 / every_seconds)):
        await asyncio.sleep(every_seconds)
        for place in places:
            place.break_off()


@pytest.mark.parametrize("others", [0, 1, 2])
@pytest.mark.parametrize("every_seconds", [0.3, 5, 20])
def test_a_socket_that_comes_and_goes_for_an_hour_is_told_once(others: int, every_seconds: float) -> None:
    """Whether or not others serve meanwhile: it is taken back each time that it tells a head."""

    async def story() -> None:
        place = Place()
        with capture_logs() as lines:
            async with listening(place, *(Place() for _ in range(others))):
                await flapping(place, every_seconds=every_seconds, minutes=60)
        assert place.opened > 60
        assert said(lines, "w0")["socket_lost"] == 1
        assert said(lines, "w0")["socket_open"] <= 2
        assert said(lines, "w1") == ({"socket_open": 1} if others else {})
        assert said(lines, "w2") == {}

    play(story())


def test_sockets_that_all_come_and_go_are_told_once_each() -> None:
    async def story() -> None:
        places = Place(), Place()
        with capture_logs() as lines:
            async with listening(*places):
                await flapping(*places, every_seconds=7, minutes=60)
        assert all(said(lines, name)["socket_lost"] == 1 for name in ("w0", "w1"))
        assert all(said(lines, name)["socket_open"] <= 2 for name in ("w0", "w1"))

    play(story())


def test_an_outage_after_a_calm_time_is_news_again() -> None:
    async def story() -> None:
        place = Place()
        with capture_logs() as lines:
            async with listening(place):
                for _ in range(3):
                    await asyncio.sleep(60)
                    place.break_off()
                await asyncio.sleep(60)
        assert said(lines, "w0") == {"socket_open": 4, "socket_lost": 3}

    play(story())


def test_a_socket_that_falls_silent_after_each_head_of_a_slow_chain_is_told_once() -> None:
    """Silence is found out only after some block times, in which it is no calm socket."""

    async def story() -> None:
        place = Place()
        with capture_logs() as lines:
            async with listening(place, block_seconds=20):
                for _ in range(30):
                    place.is_muted = True
                    await asyncio.sleep(100)
                    place.is_muted = False
                    await asyncio.sleep(20)
        assert place.opened > 10
        assert said(lines, "w0") == {"socket_open": 2, "socket_lost": 1}

    play(story())


def test_a_node_that_refuses_log_subscriptions_says_so_once() -> None:
    """However often the socket is opened again, and whatever is watched."""

    async def story() -> None:
        place = Place(refuses_logs=True)
        with capture_logs() as lines:
            async with listening(place) as feed:
                for number in range(1, 11):
                    feed.watch(Watch(frozenset({USD}), frozenset({Address(f"0x{number:040x}")})))
                    await asyncio.sleep(1)
                await flapping(place, every_seconds=40, minutes=20)
        assert place.refused > 30
        assert said(lines, "w0")["log_hints_refused"] == 1

    play(story())
