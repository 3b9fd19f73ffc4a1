"""Logs of many blocks that are not what the headers, or another endpoint, say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from indexer.clients.evm.node import EvmNode
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.balances import Watch
from indexer.errors import BadAnswer
from tests.clients.evm.builders import node_at
from tests.fixtures.chain import wallets
from tests.fixtures.liar import Alter, Liar

pytestmark = pytest.mark.node

Result = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
TWO = wallets(2)


@pytest_asyncio.fixture
async def chain(anvil: Anvil, token: Deployed) -> tuple[int, Watch]:
    """Three blocks in which two wallets got seven each; the last of them."""
    for _ in range(3):
        await token.send("mintMany", TWO, 7, gas=20_000_000)
        await anvil.mine()
    last = int((await anvil.block())["number"], 16)
    return last, Watch(frozenset([token.address]), frozenset(TWO))


@pytest_asyncio.fixture
async def liar(anvil: Anvil) -> AsyncIterator[Liar]:
    async with Liar(anvil.http_url) as fake:
        yield fake


def of_ranges(change: Result, times: int = 1_000) -> Alter:
    """Where logs of a range are asked for and there are some, so many times."""
    left = [times]

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_getLogs" or not left[0] or not answer["result"]:
            return answer
        left[0] -= 1
        return {**answer, "result": change(answer["result"])}

    return alter


def nothing(_logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return []


def foreign(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**log, "blockHash": "0x" + "ab" * 32} for log in logs]


def foreign_in_the_last_block(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*logs[:-1], *foreign(logs[-1:])]


def without_time(change: Result) -> Result:
    return lambda logs: [{key: log[key] for key in log if key != "blockTimestamp"} for log in change(logs)]


def aside(node: EvmNode) -> list[bool]:
    return [endpoint.is_aside for endpoint in node._endpoints._endpoints]


@pytest.mark.parametrize("change", [foreign, foreign_in_the_last_block, without_time(foreign)])
@pytest.mark.parametrize("blocks", [1, 3])
async def test_logs_that_contradict_the_headers_are_asked_for_elsewhere_and_the_endpoint_is_set_aside(
    liar: Liar, anvil: Anvil, chain: tuple[int, Watch], change: Result, blocks: int
) -> None:
    last, watch = chain
    liar.alter = of_ranges(change)
    async with node_at(liar.url, anvil.http_url) as node:
        found = await node.moved(last - blocks + 1, last, watch)
        assert aside(node) == [True, False]
    assert len(found) == 2 * blocks
    for each in found:
        assert each.block.hash == (await anvil.block(each.block.number))["hash"]


async def test_a_single_endpoint_whose_logs_contradict_the_headers_is_asked_once_more(
    liar: Liar, chain: tuple[int, Watch]
) -> None:
    last, watch = chain
    liar.alter = of_ranges(foreign, times=1)
    async with node_at(liar.url) as node:
        assert len(await node.moved(last - 2, last, watch)) == 6
        assert aside(node) == [False]


async def test_logs_that_always_contradict_the_headers_are_refused(liar: Liar, chain: tuple[int, Watch]) -> None:
    last, watch = chain
    liar.alter = of_ranges(foreign)
    async with node_at(liar.url) as node:
        with pytest.raises(BadAnswer, match=r"of (one )?block"):
            await node.moved(last - 2, last, watch)


async def test_what_was_left_out_is_told_by_another_endpoint_and_whoever_left_it_out_is_set_aside(
    liar: Liar, anvil: Anvil, chain: tuple[int, Watch]
) -> None:
    last, watch = chain
    liar.alter = of_ranges(nothing)
    async with node_at(liar.url, anvil.http_url) as node:
        assert await node.moved(last - 2, last, watch) == ()
        more = await node.left_out(last - 2, last, watch, None, ())
        assert {(each.block.number, each.transfer.recipient) for each in more} == {
            (number, wallet) for number in range(last - 2, last + 1) for wallet in TWO
        }
        assert aside(node) == [True, False]


async def test_an_endpoint_that_knows_less_when_it_is_asked_is_set_aside_itself(
    liar: Liar, anvil: Anvil, chain: tuple[int, Watch]
) -> None:
    last, watch = chain
    liar.alter = of_ranges(nothing)
    async with node_at(anvil.http_url, liar.url) as node:
        told = await node.moved(last - 2, last, watch)
        assert await node.left_out(last - 2, last, watch, None, told) == ()
        assert aside(node) == [False, True]


async def test_endpoints_that_agree_stay_as_they_are(liar: Liar, anvil: Anvil, chain: tuple[int, Watch]) -> None:
    last, watch = chain
    async with node_at(liar.url, anvil.http_url) as node:
        told = await node.moved(last - 2, last, watch)
        assert await node.left_out(last - 2, last, watch, None, told) == ()
        assert node.endpoint != ""
        assert aside(node) == [False, False]


async def test_a_single_endpoint_is_asked_for_what_it_left_out(liar: Liar, chain: tuple[int, Watch]) -> None:
    last, watch = chain
    liar.alter = of_ranges(nothing, times=1)
    async with node_at(liar.url) as node:
        told = await node.moved(last - 2, last, watch)
        assert len(await node.left_out(last - 2, last, watch, None, told)) == 6
