"""Endpoints of which some answers fail at random, and outages of which all do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from tests.sim.clock import play
from tests.sim.faults import NONE
from tests.sim.scene import Scene, Sockets, scene

LONG = 1_200
LOOK_SECONDS = 0.1
TOLD_SECONDS = {"none": 2.0, "first": 6.5}
"""Blocks come every 2 s: they are polled twice a second, and a websocket is doubted after three of them."""
MOST_WHILE_THROTTLED = 2
"""The head, and what somebody else asked for at the same moment."""
LOST = ("endpoint_lost", "endpoint_back", "heads_lost", "heads_back")

ONE = pytest.mark.parametrize("sockets", ["none", "first"])
KINDS = pytest.mark.parametrize("kind", ["unreachable", "page", "bad_answer"])


@contextmanager
def told(*events: str) -> Iterator[list[str]]:
    """Those of these events that are logged meanwhile."""
    found: list[str] = []
    with capture_logs() as lines:
        yield found
    found += [line["event"] for line in lines if line["event"] in events]


async def seconds_stale(on: Scene, seconds: float) -> float:
    stale = 0
    for _ in range(round(seconds / LOOK_SECONDS)):
        await asyncio.sleep(LOOK_SECONDS)
        stale += on.status.state == "stale"
    return stale * LOOK_SECONDS


async def until_state(on: Scene, state: str) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while on.status.state != state:
        await asyncio.sleep(0.02)
        assert loop.time() - began < 60, on.status
    return loop.time() - began


@ONE
@KINDS
@pytest.mark.parametrize("is_mining", [True, False], ids=["every 40 s", "nothing"])
def test_a_quiet_chain_is_not_stale_because_one_answer_in_five_fails(
    sockets: Sockets, kind: str, is_mining: bool
) -> None:
    async def story() -> None:
        async with scene(sockets, 40.0 if is_mining else 2.0, names=("one",)) as on:
            on.faults["one"] = replace(NONE, **{kind: 0.2})
            miner = asyncio.ensure_future(on.mine(LONG, 40.0)) if is_mining else None
            with told(*LOST) as events:
                assert await seconds_stale(on, LONG) == 0
            assert events == []
            if miner is not None:
                miner.cancel()

    play(story())


@ONE
@KINDS
def test_an_outage_is_told_in_time_and_ends_soon_after_it_is_over(sockets: Sockets, kind: str) -> None:
    async def story() -> None:
        async with scene(sockets, names=("one",)) as on:
            with told(*LOST) as events:
                for _ in range(5):
                    on.faults["one"] = replace(NONE, **{kind: 1.0})
                    assert await until_state(on, "stale") < TOLD_SECONDS[sockets]
                    assert [each.endpoint for each in on.status.troubles] == ["one.sim"]
                    await asyncio.sleep(60)
                    on.faults["one"] = NONE
                    assert await until_state(on, "live") < 6
                    await asyncio.sleep(60)
            assert [events.count(event) for event in LOST] == [5, 5, 5, 5]

    play(story())


def test_a_flaky_endpoint_among_good_ones_delays_no_head() -> None:
    async def story() -> None:
        async with scene("none", names=("one", "two", "three")) as on:
            on.faults["one"] = replace(NONE, unreachable=0.1, page=0.1)
            with told("heads_lost", "endpoint_lost") as events:
                for _ in range(300):
                    await on.mine(1)
                    assert await on.handled_after() < 1
                    assert on.status.state == "live"
            assert events.count("heads_lost") == 0
            assert events.count("endpoint_lost") <= 5

    play(story())


def test_endpoints_that_are_all_flaky_help_each_other_out() -> None:
    async def story() -> None:
        async with scene("none", names=("one", "two")) as on:
            on.faults.update(dict.fromkeys(on.faults, replace(NONE, unreachable=0.1, page=0.1)))
            with told("heads_lost") as events:
                assert await seconds_stale(on, LONG) == 0
            assert events == []

    play(story())


@ONE
def test_a_pause_that_a_provider_asks_for_is_kept_and_is_no_outage(sockets: Sockets) -> None:
    async def story() -> None:
        async with scene(sockets, names=("one",)) as on:
            one = on.fleet._endpoints["one"]
            with told("heads_lost") as events:
                for _ in range(100):
                    await asyncio.sleep(7.3)
                    one.throttle_for(2.0)
                    asked = one.asked
                    stale = await seconds_stale(on, 1.9)
                    assert one.asked - asked <= MOST_WHILE_THROTTLED
                    assert stale + await seconds_stale(on, 2.0) == 0
            assert events == []

    play(story())
