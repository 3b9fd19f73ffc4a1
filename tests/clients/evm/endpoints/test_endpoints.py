from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from indexer.clients.evm.asking.calls import Limits, Plan, Reply, TooMuch
from indexer.domain.chain import BlockHash
from indexer.errors import (
    BadAnswer,
    BlockUnknown,
    NodeUnreachable,
    ResponseTooLarge,
    StateMissing,
    Throttled,
    WrongChain,
)
from tests.clients.evm.builders import eventually
from tests.clients.evm.wires import DOWN, QUESTION, Time, Wire, pool


async def test_the_preferred_endpoint_is_asked_alone_while_it_answers() -> None:
    first, second = Wire(1), Wire(2)
    endpoints = pool(Time(), first, second)
    assert [await endpoints.ask(lambda _: QUESTION) for _ in range(5)] == [1] * 5
    assert second.asked == []
    await endpoints.close()


async def test_a_failure_is_left_at_once_for_the_next_and_the_preferred_one_is_taken_back() -> None:
    time = Time()
    first, second = Wire(1, [DOWN, DOWN, DOWN, None]), Wire(2)
    endpoints = pool(time, first, second)
    assert await endpoints.ask(lambda _: QUESTION) == 2
    assert endpoints.name == "b"
    await eventually(lambda: endpoints._endpoints[0].is_well)
    assert await endpoints.ask(lambda _: QUESTION) == 1
    assert endpoints.name == "a"
    assert endpoints._counts.switches == 2
    await endpoints.close()


async def test_fifty_callers_make_one_probe_while_the_circuit_is_half_open() -> None:
    first, second = Wire(1, [DOWN]), Wire(2)
    endpoints = pool(Time(), first, second)
    assert await endpoints.ask(lambda _: QUESTION) == 2
    asked = len(first.asked)
    first.gate.clear()
    await eventually(lambda: len(first.asked) > asked)
    assert await asyncio.gather(*(endpoints.ask(lambda _: QUESTION) for _ in range(50))) == [2] * 50
    assert first.asked[asked:] == [["eth_blockNumber"]]
    first.gate.set()
    await endpoints.close()


async def test_fifty_callers_of_a_single_endpoint_wait_for_its_one_probe() -> None:
    only = Wire(1, [DOWN] * 50 + [None])
    endpoints = pool(Time(), only)
    callers = [asyncio.ensure_future(endpoints.ask(lambda _: QUESTION)) for _ in range(50)]
    assert await asyncio.gather(*callers) == [1] * 50
    assert sum(methods == ["eth_blockNumber"] for methods in only.asked) == 1
    assert sum(methods == ["eth_question"] for methods in only.asked) == 100
    await endpoints.close()


async def test_pauses_grow_and_stay_bounded() -> None:
    time = Time()
    endpoints = pool(time, Wire(1, [DOWN]), Wire(2))
    await endpoints.ask(lambda _: QUESTION)
    await eventually(lambda: len(time.slept) >= 9)
    assert time.slept[:9] == [0.25, 0.5, 1, 2, 4, 5, 5, 5, 5]
    await endpoints.close()


async def test_with_no_endpoint_left_a_question_waits_and_is_answered_when_one_is_back() -> None:
    endpoints = pool(Time(), Wire(1, [DOWN, DOWN, DOWN, DOWN, None]))
    assert await endpoints.ask(lambda _: QUESTION) == 1
    await endpoints.close()


async def test_why_nobody_can_be_asked_is_known_while_the_question_is_still_open() -> None:
    first, second = Wire(1, [NodeUnreachable("HTTP 401")]), Wire(2, [DOWN])
    endpoints = pool(Time(), first, second)
    assert endpoints.outage is None
    asked = asyncio.create_task(endpoints.ask(lambda _: QUESTION, patience_seconds=1e9))
    await eventually(lambda: endpoints.outage == "a: HTTP 401; b: down")
    second.script = [None]
    assert await asked == 2
    assert endpoints.outage is None
    await endpoints.close()


async def test_patience_ends_with_the_reason_of_every_endpoint() -> None:
    time = Time()
    endpoints = pool(time, Wire(1, [DOWN]), Wire(2, [NodeUnreachable("HTTP 502")]), patience_seconds=5)
    with pytest.raises(NodeUnreachable, match=r"a: down; b: HTTP 502"):
        await endpoints.ask(lambda _: QUESTION)
    assert time.now <= 1_000 + 5 + 6
    await endpoints.close()


async def test_retry_after_is_honoured() -> None:
    time = Time()
    endpoints = pool(time, Wire(1, [Throttled("HTTP 429", 7.0), None]))
    assert await endpoints.ask(lambda _: QUESTION) == 1
    assert time.slept[0] == pytest.approx(7.7)  # a tenth of it is jitter
    assert time.now >= 1_007
    await endpoints.close()


async def test_throttled_everywhere_is_said_as_such() -> None:
    endpoints = pool(Time(), Wire(1, [Throttled("HTTP 429", 60.0)]), patience_seconds=2)
    with pytest.raises(Throttled):
        await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()


async def test_an_unknown_block_is_asked_of_everybody_and_makes_nobody_ill() -> None:
    first, second, third = (Wire(number, [BlockUnknown("nope")]) for number in (1, 2, 3))
    endpoints = pool(Time(), first, second, third)
    with pytest.raises(BlockUnknown):
        await endpoints.ask(lambda _: QUESTION)
    assert [len(wire.asked) for wire in (first, second, third)] == [1, 1, 1]
    assert all(endpoint.is_well for endpoint in endpoints._endpoints)
    await endpoints.close()


async def test_a_block_that_one_endpoint_lacks_is_answered_by_another() -> None:
    endpoints = pool(Time(), Wire(1, [BlockUnknown("lags")]), Wire(2))
    assert await endpoints.ask(lambda _: QUESTION) == 2
    await endpoints.close()


async def test_that_state_is_pruned_is_not_the_last_word_while_another_endpoint_lags() -> None:
    endpoints = pool(Time(), Wire(1, [StateMissing("pruned")]), Wire(2, [BlockUnknown("lags")]))
    with pytest.raises(BlockUnknown):
        await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()


async def test_what_an_endpoint_lacks_for_long_is_not_waited_for_where_another_has_pruned_it() -> None:
    """It may lag for good, and be so slow to be compared that nobody sets it aside."""
    time = Time()
    endpoints = pool(time, Wire(1, [StateMissing("pruned")]), Wire(2, [BlockUnknown("lags")]))
    said = []
    for pause in (0, 15, 12, 10, 21, 1):
        time.now += pause
        try:
            await endpoints.ask(lambda _: QUESTION)
        except (StateMissing, BlockUnknown) as error:
            said.append(type(error))
    assert said == [BlockUnknown, BlockUnknown, BlockUnknown, StateMissing, BlockUnknown, BlockUnknown]
    await endpoints.close()


async def test_state_that_is_pruned_everywhere_is_missing() -> None:
    endpoints = pool(Time(), Wire(1, [StateMissing("pruned")]), Wire(2, [StateMissing("pruned")]))
    with pytest.raises(StateMissing):
        await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()


async def test_one_bad_answer_is_asked_elsewhere_and_forgiven() -> None:
    endpoints = pool(Time(), Wire(1, [BadAnswer("nonsense"), None]), Wire(2))
    assert await endpoints.ask(lambda _: QUESTION) == 2
    assert endpoints._endpoints[0].is_well
    assert await endpoints.ask(lambda _: QUESTION) == 1
    await endpoints.close()


async def test_bad_answers_everywhere_end_within_a_bound() -> None:
    first, second = Wire(1, [BadAnswer("nonsense")]), Wire(2, [BadAnswer("nonsense")])
    endpoints = pool(Time(), first, second)
    with pytest.raises(BadAnswer):
        await endpoints.ask(lambda _: QUESTION)
    assert len(first.asked) + len(second.asked) <= 8
    await endpoints.close()


async def test_an_endpoint_of_another_chain_is_never_believed() -> None:
    stranger, ours = Wire(1, chain_id=5), Wire(2, chain_id=1)
    endpoints = pool(Time(), stranger, ours, chain_id=1)
    assert await endpoints.ask(lambda _: QUESTION) == 2
    assert ours.asked[0] == ["eth_chainId", "eth_question"]
    assert await endpoints.ask(lambda _: QUESTION) == 2
    assert ours.asked[1] == ["eth_question"]
    await endpoints.close()


async def test_only_endpoints_of_another_chain_is_the_wrong_chain() -> None:
    endpoints = pool(Time(), Wire(1, chain_id=5), chain_id=1, patience_seconds=3)
    with pytest.raises(WrongChain, match="follows chain 5, not 1"):
        await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()


OURS, OTHER = BlockHash("0x" + "01" * 32), BlockHash("0x" + "02" * 32)


async def test_an_endpoint_with_another_genesis_is_set_aside_like_one_with_another_id() -> None:
    time = Time()
    ours, stranger = Wire(1, genesis=OURS), Wire(2, genesis=OTHER, head=9_000)
    endpoints = pool(time, stranger, ours, chain_id=1)
    assert await endpoints.ask(lambda _: QUESTION) == 2
    endpoints.expect(OURS)
    assert await endpoints.ask(lambda _: QUESTION) == 1
    ours.script = [DOWN, DOWN, DOWN, DOWN, None]
    assert await endpoints.ask(lambda _: QUESTION) == 1
    assert "genesis" in str(endpoints._endpoints[0].reason)
    assert [found for _, found in await endpoints.survey(lambda _: QUESTION, 1.0)] == [1]
    await endpoints.close()


async def test_only_endpoints_with_another_genesis_is_the_wrong_chain() -> None:
    endpoints = pool(Time(), Wire(1, genesis=OTHER), chain_id=1, patience_seconds=3)
    endpoints.expect(OURS)
    with pytest.raises(WrongChain, match="genesis"):
        await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()


async def test_an_endpoint_that_has_forgotten_its_genesis_is_not_called_a_stranger() -> None:
    endpoints = pool(Time(), Wire(1), chain_id=1)
    endpoints.expect(OURS)
    assert await endpoints.ask(lambda _: QUESTION) == 1
    await endpoints.close()


async def test_what_is_too_much_is_asked_in_smaller_parts_and_remembered() -> None:
    wire = Wire(1)
    endpoints = pool(Time(), wire)

    def make(limits: Limits) -> Plan[int]:
        def read(_: Sequence[Reply]) -> int:
            if limits.pairs > 100:
                raise TooMuch("out of gas", "pairs", limits.pairs)
            return limits.pairs

        return Plan(QUESTION.calls, read)

    assert await endpoints.ask(make) == 62
    asked = len(wire.asked)
    assert await endpoints.ask(make) == 62
    assert len(wire.asked) == asked + 1
    await endpoints.close()


async def test_what_is_too_much_even_singly_is_refused() -> None:
    endpoints = pool(Time(), Wire(1, [TooMuch("too large", "batch", 1)]))
    with pytest.raises(ResponseTooLarge):
        await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()


async def test_an_outage_is_told_once_and_its_end_once() -> None:
    time = Time()
    with capture_logs() as lines:
        endpoints = pool(time, Wire(1, [DOWN] * 12 + [None]), Wire(2))
        for _ in range(20):
            await endpoints.ask(lambda _: QUESTION)
        await eventually(lambda: endpoints._endpoints[0].is_well)
        await endpoints.ask(lambda _: QUESTION)
        await endpoints.close()
    assert [line["event"] for line in lines] == ["endpoint_lost", "endpoint_back"]
    assert lines[0]["endpoint"] == "a"
    assert lines[0]["reason"] == "down"


async def test_flapping_does_not_flood_the_log() -> None:
    time = Time()
    with capture_logs() as lines:
        endpoints = pool(time, Wire(1, [DOWN, None] * 40), Wire(2))
        for _ in range(30):
            await endpoints.ask(lambda _: QUESTION)
            await eventually(lambda: endpoints._endpoints[0].is_well)
        await endpoints.close()
    assert len([line for line in lines if line["log_level"] != "debug"]) <= 5


async def test_every_request_is_counted_with_its_outcome() -> None:
    endpoints = pool(Time(), Wire(1, [DOWN]), Wire(2))
    await endpoints.ask(lambda _: QUESTION)
    counts = endpoints._counts
    assert counts.calls["a", "eth_question", "NodeUnreachable"] == 1
    assert counts.calls["b", "eth_question", "ok"] == 1
    assert counts.round_trips["b"] == 1
    await endpoints.close()


async def test_requests_and_switches_are_told_as_they_happen() -> None:
    endpoints = pool(Time(), Wire(1, [DOWN]), Wire(2))
    told: list[tuple[str, str, str]] = []
    switches: list[None] = []
    endpoints._counts.on_request = lambda *words: told.append(words[:3])
    endpoints._counts.on_switch = lambda: switches.append(None)
    await endpoints.ask(lambda _: QUESTION)
    assert told == [("a", "eth_question", "NodeUnreachable"), ("b", "eth_question", "ok")]
    assert len(switches) == 1
    await endpoints.close()


async def test_closing_leaves_no_probe_behind() -> None:
    endpoints = pool(Time(), Wire(1, [DOWN]), Wire(2))
    await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()
    assert [task for task in asyncio.all_tasks() if "_revive" in repr(task)] == []
