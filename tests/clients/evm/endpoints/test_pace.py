from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.clients.evm.asking.calls import Call, Limits, Plan, TooMuch
from indexer.clients.evm.endpoints.endpoint import Terms
from indexer.clients.evm.endpoints.pace import SLOWEST, Pace
from indexer.errors import NodeUnreachable, Throttled
from tests.clients.evm.wires import QUESTION, Time, Wire, pool


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def asked_for(pace: Pace, clock: Clock, seconds: float, *, each: int = 1) -> float:
    """Calls a second that one asker gets through, who waits as he is told."""
    began, calls = clock.now, 0
    while clock.now - began < seconds:
        clock.now += pace.reserve(each, urgent=False) + 0.001
        calls += each
    return calls / (clock.now - began)


def test_nobody_waits_before_there_was_a_complaint() -> None:
    pace = Pace(Clock())
    assert [pace.reserve(500, urgent=False) for _ in range(100)] == [0.0] * 100
    assert pace.most_at_once is None


def test_a_complaint_halves_the_rate_and_time_gives_it_back_little_by_little() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert asked_for(pace, clock, 5, each=1) == pytest.approx(1_000, rel=0.1)
    assert pace.complained()
    halved = pace.calls_per_second
    assert halved == pytest.approx(500, rel=0.1)
    clock.now += 10
    pace.reserve(1, urgent=True)
    assert halved + 50 <= pace.calls_per_second <= halved + 110


def test_many_refusals_at_once_are_one_complaint() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.reserve(100, urgent=True)
    assert [pace.complained() for _ in range(50)] == [True] + [False] * 49
    assert pace.calls_per_second == pytest.approx(50)


def test_who_waits_as_told_keeps_the_rate() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.reserve(40, urgent=True)
    pace.complained()
    assert asked_for(pace, clock, 10) == pytest.approx(20 + 0.5 * 5, rel=0.2)


def test_a_head_goes_before_what_can_wait() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.reserve(40, urgent=True)
    pace.complained()
    assert pace.reserve(5, urgent=False) > 0
    assert pace.reserve(1, urgent=True) == 0


def test_a_limit_is_forgotten_after_ten_quiet_minutes() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.complained()
    clock.now += 599
    assert not pace.went_well()
    clock.now += 2
    assert pace.went_well()
    assert math.isinf(pace.calls_per_second)


@given(st.lists(st.tuples(st.sampled_from(["ask", "complain", "well"]), st.integers(1, 1_000), st.floats(0, 100))))
def test_whatever_happens_no_wait_is_long_and_the_rate_never_falls_to_nothing(
    script: list[tuple[str, int, float]],
) -> None:
    clock = Clock()
    pace = Pace(clock)
    for what, calls, seconds in script:
        clock.now += seconds
        match what:
            case "ask":
                assert 0 <= pace.reserve(calls, urgent=calls % 2 == 0) <= 2
            case "complain":
                pace.complained()
            case _:
                pace.went_well()
        assert pace.calls_per_second >= SLOWEST
        assert pace.most_at_once is None or pace.most_at_once >= 1


async def test_after_a_429_an_endpoint_is_asked_more_slowly_and_in_smaller_batches() -> None:
    time, wire = Time(), Wire(1)
    endpoints = pool(time, wire)
    paces: list[float] = []
    endpoints._counts.on_pace = lambda _endpoint, rate: paces.append(rate)
    many = Plan([Call("eth_question")] * 40, len)
    assert await endpoints.ask(lambda _: many) == 40
    wire.script = [Throttled("HTTP 429"), None]
    assert await endpoints.ask(lambda _: many) == 40
    assert len(paces) == 1
    assert max(len(methods) for methods in wire.asked[2:]) <= paces[0] + 5
    began = time.now
    for _ in range(5):
        await endpoints.ask(lambda _: many)
    assert 200 / (time.now - began) < 2 * paces[0] + 10
    await endpoints.close()


async def test_what_takes_too_long_is_asked_in_smaller_parts_afterwards() -> None:
    wire = Wire(1)
    endpoints = pool(Time(), wire)
    (endpoint,) = endpoints._endpoints
    many = Plan([Call("eth_question")] * 400, len)
    wire.gate.clear()
    with pytest.raises(NodeUnreachable):
        await endpoint.ask(lambda _: many, Terms(timeout_seconds=0.05))
    wire.gate.set()
    assert await endpoint.ask(lambda _: many, Terms(timeout_seconds=1)) == 400
    assert [len(methods) for methods in wire.asked] == [400, 200, 200]
    await endpoints.close()


async def test_a_small_question_that_hangs_does_not_make_batches_smaller() -> None:
    wire = Wire(1)
    endpoints = pool(Time(), wire, patience_seconds=0.3)
    wire.gate.clear()
    with pytest.raises(NodeUnreachable):
        await endpoints.ask(lambda _: QUESTION, timeout_seconds=0.05)
    assert endpoints._endpoints[0].limits == Limits()
    await endpoints.close()


async def test_limits_grow_again_after_a_while_and_less_often_where_that_was_wrong() -> None:
    time, wire = Time(), Wire(1)
    endpoints = pool(time, wire)
    (endpoint,) = endpoints._endpoints
    endpoint._lower(TooMuch("too many", "batch", 100))
    for seconds, batch in ((599, 50), (2, 100)):
        time.now += seconds
        await endpoints.ask(lambda _: QUESTION)
        assert endpoint.limits.batch == batch
    endpoint._lower(TooMuch("too many", "batch", 100))
    for seconds, batch in ((1_199, 50), (2, 100), (1_201, 200), (601, 400), (601, 500)):
        time.now += seconds
        await endpoints.ask(lambda _: QUESTION)
        assert endpoint.limits.batch == batch
    await endpoints.close()
