"""All others do not have the block, and one does not answer at all: it was orphaned, more often than not."""

from __future__ import annotations

import asyncio

import pytest

from indexer.clients.evm.endpoints.endpoints import NEVER
from indexer.errors import BlockUnknown, StateMissing, Unheard
from tests.clients.evm.builders import eventually
from tests.clients.evm.wires import DOWN, QUESTION, LoopTime, Time, Wire, hanging, now, pool
from tests.sim.clock import in_virtual_time

UNKNOWN = BlockUnknown("no such block")


@in_virtual_time
async def test_one_that_hangs_is_not_waited_for_when_all_others_do_not_have_the_block() -> None:
    for others in ([Wire(2, [UNKNOWN])], [Wire(2, [UNKNOWN]), Wire(3, [UNKNOWN])]):
        endpoints = pool(Time(), hanging(), *others)
        began = now()
        with pytest.raises(Unheard, match="no such block; no answer from a"):
            await endpoints.ask(lambda _: QUESTION)
        assert 0.4 < now() - began < 0.7
        await endpoints.close()


@in_virtual_time
async def test_one_that_is_known_to_be_late_is_waited_for_no_longer() -> None:
    second, third = Wire(2, [None, UNKNOWN]), Wire(3, [UNKNOWN])
    endpoints = pool(Time(), hanging(), second, third)
    assert await endpoints.ask(lambda _: QUESTION) == 2
    began = now()
    with pytest.raises(Unheard):
        await endpoints.ask(lambda _: QUESTION)
    assert now() - began < 0.4
    await endpoints.close()


@in_virtual_time
async def test_it_is_lost_when_it_still_has_not_answered_after_three_seconds() -> None:
    endpoints = pool(Time(), hanging(), Wire(2, [UNKNOWN]))
    with pytest.raises(Unheard):
        await endpoints.ask(lambda _: QUESTION)
    assert [*endpoints.late] == ["a"]
    assert endpoints.outage is None
    await asyncio.sleep(3.1)
    assert not endpoints._endpoints[0].is_well
    with pytest.raises(BlockUnknown) as refused:
        await endpoints.ask(lambda _: QUESTION)
    assert not isinstance(refused.value, Unheard)
    await endpoints.close()


@in_virtual_time
async def test_the_next_one_is_asked_at_once_when_the_one_before_it_does_not_have_the_block_or_fails() -> None:
    for fault in (UNKNOWN, DOWN):
        endpoints = pool(Time(), hanging(), Wire(2, [fault]), Wire(3))
        began = now()
        assert await endpoints.ask(lambda _: QUESTION) == 3
        assert now() - began < 0.4
        await endpoints.close()


@in_virtual_time
async def test_one_that_is_merely_slow_and_alone_has_the_block_is_heard() -> None:
    first = hanging()
    endpoints = pool(Time(), first, Wire(2, [UNKNOWN]), Wire(3, [UNKNOWN]))
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
    await asyncio.sleep(0.45)
    first.gate.set()
    assert await asking == 1
    await endpoints.close()


@in_virtual_time
async def test_those_that_lag_behind_a_slower_one_are_set_aside_and_it_is_heard_then() -> None:
    first = hanging()
    endpoints = pool(LoopTime(), first, Wire(2, [UNKNOWN], head=0), Wire(3, [UNKNOWN], head=0))
    endpoints.health.followed = 1_000
    for _ in range(3):
        first.gate.clear()
        with pytest.raises(Unheard):
            await endpoints.ask(lambda _: QUESTION)
        first.gate.set()
        await eventually(lambda: not endpoints.late)
    assert [endpoint.is_aside for endpoint in endpoints._endpoints] == [False, True, True]
    first.gate.clear()
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
    await asyncio.sleep(2.0)
    first.gate.set()
    assert await asking == 1
    await endpoints.close()


@in_virtual_time
async def test_that_state_is_gone_is_believed_only_when_everybody_said_so() -> None:
    for second, third in (("gone", "gone"), ("gone", "unknown")):
        first, denials = hanging(), {"gone": StateMissing("pruned"), "unknown": UNKNOWN}
        endpoints = pool(Time(), first, Wire(2, [denials[second]]), Wire(3, [denials[third]]))
        asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION))
        await asyncio.sleep(5.0)
        first.gate.set()
        assert await asking == 1
        await endpoints.close()


@in_virtual_time
async def test_work_that_can_wait_waits_for_the_one_that_may_have_the_block() -> None:
    first, second = Wire(1, [UNKNOWN]), hanging(2)
    endpoints = pool(Time(), first, second)
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION, hedge_seconds=NEVER))
    await asyncio.sleep(5.0)
    second.gate.set()
    assert await asking == 2
    await endpoints.close()


@in_virtual_time
async def test_large_questions_leave_it_as_long_as_they_leave_everybody() -> None:
    first = hanging()
    endpoints = pool(Time(), first, Wire(2, [UNKNOWN]))
    asking = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION, hedge_seconds=3.0))
    await asyncio.sleep(5.5)
    first.gate.set()
    assert await asking == 1
    await endpoints.close()


@in_virtual_time
async def test_one_that_is_set_aside_is_asked_before_it_is_given_up() -> None:
    endpoints = pool(Time(), hanging(), Wire(2, [UNKNOWN]), Wire(3))
    endpoints.set_aside("c", UNKNOWN, 10.0)
    assert await endpoints.ask(lambda _: QUESTION) == 3
    await endpoints.close()


@in_virtual_time
async def test_an_urgent_survey_does_not_wait_for_those_that_are_late() -> None:
    for is_urgent, shortest, longest in ((True, 0.2, 0.4), (False, 0.9, 1.1)):
        endpoints = pool(Time(), hanging(), Wire(2), Wire(3))
        assert await endpoints.ask(lambda _: QUESTION) == 2
        began = now()
        found = await endpoints.survey(lambda _: QUESTION, 1.0, is_urgent=is_urgent)
        assert shortest < now() - began < longest
        assert [answer for _, answer in found] == [2, 3]
        await endpoints.close()
