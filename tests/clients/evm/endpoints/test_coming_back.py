"""The only one that could be asked hangs, and others are back before it says anything."""

from __future__ import annotations

import asyncio

import pytest

from indexer.clients.evm.endpoints.endpoints import NEVER, Endpoints
from indexer.errors import BlockUnknown, Unheard
from tests.clients.evm.builders import eventually
from tests.clients.evm.wires import DOWN, QUESTION, Time, Wire, hanging, now, pool
from tests.sim.clock import in_virtual_time


def _without(endpoints: Endpoints, *places: int) -> None:
    for place in places:
        endpoints.health.lose(endpoints._endpoints[place], DOWN)


@in_virtual_time
async def test_one_that_is_back_is_asked_as_well() -> None:
    second = hanging(2)
    endpoints = pool(Time(), hanging(1), second)
    _without(endpoints, 1)
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
    await asyncio.sleep(1.0)
    second.gate.set()
    await eventually(lambda: endpoints._endpoints[1].is_well)
    began = now()
    assert await asking == 2
    assert now() - began < 0.6
    assert endpoints._counts.hedges == 1
    await endpoints.close()


@in_virtual_time
async def test_so_is_one_that_was_merely_late() -> None:
    second = hanging(2)
    first = Wire(1)
    endpoints = pool(Time(), second, first)
    assert await endpoints.ask(lambda _: QUESTION) == 1
    assert [*endpoints.late] == ["a"]
    first.gate.clear()
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
    await asyncio.sleep(1.0)
    second.gate.set()
    began = now()
    assert await asking == 2
    assert now() - began < 0.6
    await endpoints.close()


@in_virtual_time
async def test_all_that_are_back_are_asked_and_the_block_may_be_gone_by_then() -> None:
    second, third = hanging(2), hanging(3)
    endpoints = pool(Time(), hanging(1), second, third)
    _without(endpoints, 1, 2)
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
    await asyncio.sleep(1.0)
    second.gate.set()
    third.gate.set()
    await eventually(lambda: len(endpoints.able) == 3)
    second.script = third.script = [BlockUnknown("no such block")]
    with pytest.raises(Unheard):
        await asking
    await endpoints.close()


@in_virtual_time
async def test_the_one_that_was_asked_may_still_answer_first() -> None:
    first = hanging(1)
    endpoints = pool(Time(), first, hanging(2))
    _without(endpoints, 1)
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
    await asyncio.sleep(5.0)
    first.gate.set()
    assert await asking == 1
    await endpoints.close()


@in_virtual_time
async def test_work_that_can_wait_is_not_done_twice() -> None:
    first, second = hanging(1), hanging(2)
    endpoints = pool(Time(), first, second)
    _without(endpoints, 1)
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION, hedge_seconds=NEVER))
    second.gate.set()
    await asyncio.sleep(5.0)
    first.gate.set()
    assert await asking == 1
    await endpoints.close()
