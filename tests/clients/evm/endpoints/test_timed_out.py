"""Endpoints that say that their time was up: for what is too much for them, or for anything at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from indexer.clients.evm.asking.calls import Call, Limits, Plan, RangeTimedOut, Reply, TookLong, TooMuch
from indexer.clients.evm.asking.wording import TimedOut
from indexer.errors import BlockUnknown, IndexerError, NodeUnreachable, ResponseTooLarge
from tests.clients.evm.builders import eventually
from tests.clients.evm.wires import QUESTION, Time, Wire, pool

WALLETS = 1_000
RANGE = Plan([Call("eth_getLogs", of_range=True)], lambda replies: int(replies[0].get(), 16))
ILL = TimedOut("request timed out")


class Laden(Wire):
    """Takes so many balances in a call, and so many calls in a request."""

    balances = 10_000
    calls = 10_000
    put = 0

    async def exchange(self, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]:
        replies = await super().exchange(calls, timeout_seconds)
        self.put += len(calls)
        if len(calls) > self.calls:
            raise TimedOut("request timed out")
        return [
            Reply(error=TimedOut("query timeout exceeded")) if call.size > self.balances else reply
            for call, reply in zip(calls, replies, strict=True)
        ]


def balances(limits: Limits) -> Plan[int]:
    """How many calls it takes to read them all."""
    most = min(limits.natives, WALLETS)
    calls = [Call("eth_call", size=most)] * -(-WALLETS // most)

    def read(replies: Sequence[Reply]) -> int:
        for reply in replies:
            try:
                reply.get()
            except TimedOut as error:
                raise TookLong(str(error), "natives", most) from error
        return len(calls)

    return Plan(calls, read)


def headers(_: Limits) -> Plan[int]:
    return Plan([Call("eth_getBlockByNumber")] * 32, len)


async def test_another_endpoint_has_its_turn_at_once_and_who_says_so_is_lost_until_it_is_probed() -> None:
    time = Time()
    ill, well = Wire(1, [ILL]), Wire(2)
    endpoints = pool(time, ill, well)
    assert await endpoints.ask(lambda _: QUESTION) == 2
    assert time.slept in ([], [0.25])
    assert [(trouble.endpoint, trouble.reason) for trouble in endpoints.troubles] == [("a", "request timed out")]
    ill.script = [None]
    await eventually(lambda: endpoints._endpoints[0].is_well)
    assert await endpoints.ask(lambda _: QUESTION) == 1
    await endpoints.close()


@pytest.mark.parametrize("error", [ILL, TooMuch("too much", "batch", 1), ResponseTooLarge("too much")])
async def test_one_that_was_asked_as_well_ends_no_race_that_another_one_wins(error: IndexerError) -> None:
    slow, hasty = Wire(1), Wire(2, [error])
    slow.gate.clear()
    endpoints = pool(Time(), slow, hasty)
    asked = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION, hedge_seconds=0.01))
    await eventually(lambda: hasty.asked)
    await asyncio.sleep(0.01)
    slow.gate.set()
    assert await asked == 1
    await endpoints.close()


async def test_what_is_too_large_is_told_where_nobody_else_answers() -> None:
    slow, hasty = Wire(1, [NodeUnreachable("down")]), Wire(2, [ResponseTooLarge("too much")])
    slow.gate.clear()
    endpoints = pool(Time(), slow, hasty)
    asked = asyncio.ensure_future(endpoints.ask(lambda _: QUESTION, hedge_seconds=0.01))
    await eventually(lambda: hasty.asked)
    slow.gate.set()
    with pytest.raises(ResponseTooLarge):
        await asked
    await endpoints.close()


async def test_the_only_one_is_asked_for_less_until_that_passes() -> None:
    wire = Laden(1)
    wire.balances = 300
    endpoints = pool(Time(), wire)
    assert await endpoints.ask(balances) == 4
    assert [len(methods) for methods in wire.asked] == [1, 2, 4]
    assert await endpoints.ask(balances) == 4
    await endpoints.close()


async def test_the_only_one_is_asked_for_fewer_calls_at_once_first() -> None:
    wire = Laden(1)
    wire.calls = 20
    endpoints = pool(Time(), wire)
    assert await endpoints.ask(headers) == 32
    assert [len(methods) for methods in wire.asked] == [32, 16, 16]
    await endpoints.close()


@pytest.mark.parametrize("make", [balances, headers])
async def test_one_question_to_one_that_is_ill_stays_few_calls(
    make: Callable[[Limits], Plan[int]],
) -> None:
    wire = Laden(1)
    wire.balances = wire.calls = 0
    endpoints = pool(Time(), wire)
    with pytest.raises(NodeUnreachable, match="time"):
        await endpoints.ask(make)
    assert wire.put < 1_000
    await endpoints.close()


async def test_where_little_takes_too_long_as_well_size_was_not_the_matter() -> None:
    limits = Limits()
    while limits.ease_for(TookLong("request timed out", "natives", min(WALLETS, limits.natives)), 1):
        assert limits.natives >= 50
    assert limits == Limits()


async def test_after_a_hiccup_as_much_as_before_is_asked_within_two_minutes() -> None:
    time, wire = Time(), Laden(1)
    wire.balances = 70
    endpoints = pool(time, wire)
    assert await endpoints.ask(balances) == 17
    wire.balances = 10_000
    began, taken = time.now, 17
    while taken > 1:
        time.now += 1
        taken = await endpoints.ask(balances)
    assert time.now - began < 120
    time.now += 20
    await endpoints.ask(balances)
    assert endpoints._endpoints[0].limits.natives == Limits().natives
    await endpoints.close()


async def test_more_is_tried_ever_less_often_where_that_times_out_each_time() -> None:
    time, wire = Time(), Laden(1)
    wire.balances = 600
    endpoints = pool(time, wire)
    for _ in range(3_600):
        assert await endpoints.ask(balances) == 2
        time.now += 1
    assert len(wire.asked) - 3_600 < 25
    await endpoints.close()


async def test_a_range_is_asked_elsewhere_and_who_timed_out_while_another_one_told_it_is_lost() -> None:
    ill, well = Wire(1, [ILL]), Wire(2)
    endpoints = pool(Time(), ill, well)
    assert await endpoints.ask(lambda _: RANGE) == 2
    assert [trouble.endpoint for trouble in endpoints.troubles] == ["a"]
    await endpoints.close()


@pytest.mark.parametrize("other", [ILL, BlockUnknown("no such block"), NodeUnreachable("down")])
async def test_fewer_blocks_are_asked_for_where_nobody_tells_a_range(other: IndexerError) -> None:
    time = Time()
    endpoints = pool(time, Wire(1, [ILL]), Wire(2, [other]))
    with pytest.raises(RangeTimedOut):
        await endpoints.ask(lambda _: RANGE)
    assert time.now < 1_001
    await endpoints.close()


def test_what_a_413_made_less_does_not_come_back_with_what_was_slow() -> None:
    limits = Limits()
    limits.ease_for(TookLong("query timeout exceeded", "natives", 1_000), 1)
    limits.lower(TooMuch("HTTP 413", "bytes", 100_000))
    less = limits.natives
    assert not limits.recover()
    limits.ease_for(TimedOut("request timed out"), 1)
    assert limits.natives == less
