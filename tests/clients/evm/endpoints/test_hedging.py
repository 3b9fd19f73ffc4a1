from __future__ import annotations

import asyncio
from functools import partial

import pytest
from structlog.testing import capture_logs

from indexer.clients.evm.endpoints import late
from indexer.clients.evm.endpoints.endpoints import NEVER
from indexer.errors import BlockUnknown
from tests.clients.evm.builders import eventually
from tests.clients.evm.wires import DOWN, QUESTION, Time, Wire, now, pool
from tests.sim.clock import in_virtual_time


@in_virtual_time
async def test_one_that_hangs_is_overtaken_within_half_a_second_and_then_left_alone() -> None:
    first, second = Wire(1), Wire(2)
    endpoints = pool(Time(), first, second)
    first.gate.clear()
    began = now()
    assert await endpoints.ask(lambda _: QUESTION) == 2
    assert 0.2 < now() - began < 0.8
    assert endpoints.name == "b"
    began = now()
    assert [await endpoints.ask(lambda _: QUESTION) for _ in range(20)] == [2] * 20
    assert now() - began < 0.2
    assert len(first.asked) == 1
    assert endpoints._counts.hedges == 1
    await endpoints.close()


@in_virtual_time
async def test_one_that_was_only_slow_is_preferred_again_at_once_and_nothing_is_logged() -> None:
    first, second = Wire(1), Wire(2)
    endpoints = pool(Time(), first, second)
    with capture_logs() as lines:
        first.gate.clear()
        assert await endpoints.ask(lambda _: QUESTION) == 2
        first.gate.set()
        await eventually(lambda: not endpoints.late)
        assert await endpoints.ask(lambda _: QUESTION) == 1
    assert lines == []
    await endpoints.close()


@in_virtual_time
async def test_one_that_never_answers_is_lost_when_its_time_is_up() -> None:
    first, second = Wire(1), Wire(2)
    endpoints = pool(Time(), first, second)
    with capture_logs() as lines:
        first.gate.clear()
        assert await endpoints.ask(lambda _: QUESTION, timeout_seconds=0.6) == 2
        await eventually(lambda: not endpoints._endpoints[0].is_well)
        first.gate.set()
        await eventually(lambda: endpoints._endpoints[0].is_well)
    assert [line["event"] for line in lines] == ["endpoint_lost", "endpoint_back"]
    await endpoints.close()


@in_virtual_time
async def test_one_that_hangs_is_probed_long_before_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "LATE_SECONDS", 0.1)
    first, second = Wire(1), Wire(2)
    endpoints = pool(Time(), first, second)
    first.gate.clear()
    assert await endpoints.ask(lambda _: QUESTION) == 2
    await eventually(lambda: not endpoints._endpoints[0].is_well)
    assert endpoints._endpoints[0].reason is not None
    first.gate.set()
    await eventually(lambda: endpoints._endpoints[0].is_well)
    assert await endpoints.ask(lambda _: QUESTION) == 1
    await endpoints.close()


@in_virtual_time
async def test_the_third_is_asked_when_the_second_hangs_too() -> None:
    first, second, third = Wire(1), Wire(2), Wire(3)
    endpoints = pool(Time(), first, second, third)
    first.gate.clear()
    second.gate.clear()
    began = now()
    assert await endpoints.ask(lambda _: QUESTION) == 3
    assert now() - began < 1.2
    await endpoints.close()


@in_virtual_time
async def test_the_slow_one_is_believed_when_the_other_fails_or_does_not_know() -> None:
    for fault in (DOWN, BlockUnknown("lags")):
        first, second = Wire(1), Wire(2, [fault])
        endpoints = pool(Time(), first, second)
        first.gate.clear()
        asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
        await eventually(partial(len, second.asked))
        first.gate.set()
        assert await asking == 1
        await endpoints.close()


@in_virtual_time
async def test_work_that_can_wait_is_not_done_twice() -> None:
    first, second = Wire(1), Wire(2)
    endpoints = pool(Time(), first, second)
    first.gate.clear()
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION, hedge_seconds=NEVER))
    await asyncio.sleep(0.7)
    assert second.asked == []
    first.gate.set()
    assert await asking == 1
    await endpoints.close()


@in_virtual_time
async def test_where_everything_is_slow_hedging_ends() -> None:
    first, second = Wire(1), Wire(2)
    endpoints = pool(Time(), first, second)
    endpoints._hedging.left = 1.5
    for _ in range(2):
        first.gate.clear()
        asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
        await asyncio.sleep(0.7)
        first.gate.set()
        await asking
        await eventually(lambda: not endpoints.late)
    assert endpoints._counts.hedges == 1
    await endpoints.close()


@in_virtual_time
async def test_an_asker_who_gives_up_leaves_nothing_running() -> None:
    first, second = Wire(1), Wire(2)
    endpoints = pool(Time(), first, second)
    first.gate.clear()
    second.gate.clear()
    before = asyncio.all_tasks()
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
    await eventually(lambda: second.asked)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await eventually(lambda: asyncio.all_tasks() == before)
    assert asking.cancelled()
    await endpoints.close()


@in_virtual_time
async def test_closing_ends_those_that_are_late() -> None:
    first, second = Wire(1), Wire(2)
    endpoints = pool(Time(), first, second)
    first.gate.clear()
    before = asyncio.all_tasks()
    await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()
    await eventually(lambda: asyncio.all_tasks() == before)
