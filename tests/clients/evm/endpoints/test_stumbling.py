"""The only endpoint that is left fails now and then: it is asked again, and lost when it goes on."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from indexer.clients.evm.asking.courier import NoAnswer
from indexer.clients.evm.endpoints.attempts import STUMBLES
from indexer.domain.chain import BlockHash
from indexer.errors import BadAnswer, BlockUnknown, IndexerError, NodeUnreachable, Throttled, WrongChain
from tests.clients.evm.builders import eventually
from tests.clients.evm.wires import DOWN, QUESTION, Time, Wire, pool

NONSENSE = BadAnswer("a web page instead of JSON")
REST_SECONDS = 1.0
KINDS = pytest.mark.parametrize("error", [DOWN, NONSENSE, Throttled("HTTP 429")], ids=["down", "nonsense", "429"])


@KINDS
async def test_the_only_endpoint_that_fails_is_asked_again_and_nothing_is_said(error: IndexerError) -> None:
    only = Wire(1, [*[error] * (STUMBLES - 1), None])
    endpoints = pool(Time(), only)
    with capture_logs() as lines:
        assert await endpoints.ask(lambda _: QUESTION, rest_seconds=60.0) == 1
    assert len(only.asked) == STUMBLES
    assert lines == []
    assert endpoints.outage is None
    await endpoints.close()


async def test_it_is_asked_again_at_once_and_then_after_pauses_that_grow_and_stay_short() -> None:
    time = Time()
    endpoints = pool(time, Wire(1, [*[DOWN] * 7, None]))
    await endpoints.ask(lambda _: QUESTION)
    assert time.slept == pytest.approx([0.05, 0.1, 0.2, 0.2, 0.2, 0.2])
    await endpoints.close()


@KINDS
async def test_one_that_goes_on_failing_is_lost_within_a_second_with_its_own_words(error: IndexerError) -> None:
    time = Time()
    endpoints = pool(time, Wire(1, [error]))
    with pytest.raises(type(error), match=str(error)):
        await endpoints.ask(lambda _: QUESTION, rest_seconds=REST_SECONDS)
    assert time.now - 1_000 <= REST_SECONDS + 0.3
    assert [each.health for each in endpoints.troubles] == ["lost"]
    await endpoints.close()


async def test_what_many_ask_at_once_is_no_more_than_a_few_failures_of_one_endpoint() -> None:
    only = Wire(1, [DOWN])
    endpoints = pool(Time(), only, patience_seconds=1.0)
    callers = [asyncio.ensure_future(endpoints.ask(lambda _: QUESTION)) for _ in range(5)]
    assert all(isinstance(each, NodeUnreachable) for each in await asyncio.gather(*callers, return_exceptions=True))
    assert sum(methods == ["eth_question"] for methods in only.asked) <= STUMBLES + len(callers)
    await endpoints.close()


@pytest.mark.parametrize("error", [NoAnswer("no answer"), Throttled("HTTP 429", 2.0)], ids=["hangs", "asks to wait"])
async def test_one_that_hangs_or_asks_for_a_pause_is_not_asked_again_before_a_probe(error: IndexerError) -> None:
    only = Wire(1, [error, None])
    endpoints = pool(Time(), only)
    assert await endpoints.ask(lambda _: QUESTION) == 1
    assert only.asked == [["eth_question"], ["eth_blockNumber"], ["eth_question"]]
    await endpoints.close()


async def test_one_that_stumbled_shows_again_that_it_follows_our_chain() -> None:
    """Another node may answer next time."""
    only = Wire(1, [None, DOWN, None], chain_id=1)
    endpoints = pool(Time(), only, chain_id=1)
    assert [await endpoints.ask(lambda _: QUESTION) for _ in range(2)] == [1, 1]
    assert only.asked[-1] == ["eth_chainId", "eth_question"]
    only.script, only.chain_id = [DOWN, None], 5
    with pytest.raises(WrongChain):
        await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()


async def test_an_endpoint_is_left_at_once_while_another_can_be_asked() -> None:
    first, second = Wire(1, [DOWN]), Wire(2, [DOWN, None])
    endpoints = pool(Time(), first, second)
    assert await endpoints.ask(lambda _: QUESTION) == 2
    assert [methods for methods in first.asked if methods == ["eth_question"]] == [["eth_question"]]
    assert [each.endpoint for each in endpoints.troubles] == ["a"]
    await endpoints.close()


async def test_one_that_is_set_aside_is_asked_before_the_only_other_one_is_asked_again() -> None:
    first, second = Wire(1, [DOWN, None]), Wire(2)
    endpoints = pool(Time(), first, second)
    endpoints.set_aside("b", BlockUnknown("lags"), 10.0)
    assert await endpoints.ask(lambda _: QUESTION) == 2
    assert endpoints._endpoints[0].is_well
    await endpoints.close()


async def test_an_endpoint_that_comes_and_goes_is_probed_soon_where_it_is_the_only_one() -> None:
    time = Time()
    only = Wire(1, [None])
    endpoints = pool(time, only)
    for _ in range(5):
        only.script = [NoAnswer("no answer"), None]
        time.slept.clear()
        await endpoints.ask(lambda _: QUESTION)
        assert 0.25 in time.slept
    await endpoints.close()


async def test_a_probe_is_one_request_every_other_time_where_the_endpoint_takes_batches() -> None:
    """Three answers of a flaky one fail more often than one."""
    genesis = BlockHash("0x" + "01" * 32)
    first, second = Wire(1, genesis=genesis), Wire(2, genesis=genesis)
    endpoints = pool(Time(), first, second, chain_id=1)
    endpoints.expect(genesis)
    assert await endpoints.ask(lambda _: QUESTION) == 1
    first.asked.clear()
    first.script = [DOWN, DOWN, DOWN, None]
    assert await endpoints.ask(lambda _: QUESTION) == 2
    await eventually(lambda: endpoints._endpoints[0].is_well)
    assert first.asked[1:] == [
        ["eth_chainId", "eth_getBlockByNumber", "eth_blockNumber"],
        ["eth_chainId"],
        ["eth_chainId", "eth_getBlockByNumber", "eth_blockNumber"],
    ]
    await endpoints.close()
