"""Tokens of which one endpoint tells no balance, and another one does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from indexer.clients.evm.asking.multiread import BALANCE_OF
from indexer.clients.evm.node import EvmNode
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, Head, Holding
from indexer.errors import NodeUnreachable
from tests.clients.evm.builders import mined_head, node_at
from tests.fixtures.chain import wallets
from tests.fixtures.fakenode import FakeNode, json_response

pytestmark = pytest.mark.node

ALICE = wallets(1)[0]

Alter = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def without_code(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """As a node that has lost its contracts: neither our program nor `balanceOf` answers anything."""
    return {"jsonrpc": "2.0", "id": call["id"], "result": "0x"} if call["method"] == "eth_call" else answer


def out_of_gas(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """As a provider that gives calls less gas than others."""
    is_ours = call["method"] == "eth_call" and BALANCE_OF in str(call["params"])
    refusal = {"code": -32000, "message": "out of gas"}
    return {"jsonrpc": "2.0", "id": call["id"], "error": refusal} if is_ours else answer


def out_of_time(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """As a node that has too much to do."""
    refusal = {"code": -32000, "message": "context deadline exceeded"}
    return {"jsonrpc": "2.0", "id": call["id"], "error": refusal} if call["method"] == "eth_call" else answer


@asynccontextmanager
async def altered(anvil: Anvil, alter: Alter) -> AsyncIterator[FakeNode]:
    """Asks anvil, and alters its answers."""
    async with FakeNode() as fake, aiohttp.ClientSession() as session:

        async def respond(payload: Any) -> web.StreamResponse:
            calls = payload if isinstance(payload, list) else [payload]
            async with session.post(anvil.http_url, json=calls) as response:
                by_id = {part["id"]: part for part in await response.json()}
            answers = [alter(call, by_id[call["id"]]) for call in calls]
            return json_response(answers if isinstance(payload, list) else answers[0])

        fake.respond = respond
        yield fake


@pytest_asyncio.fixture
async def mute(anvil: Anvil) -> AsyncIterator[FakeNode]:
    async with altered(anvil, without_code) as fake:
        yield fake


@pytest_asyncio.fixture
async def minted(token: Deployed) -> Holding:
    await token.send("mint", ALICE, 7)
    return Holding(token.address, ALICE)


async def read(node: EvmNode, head: Head, *holdings: Holding) -> tuple[dict[Holding, int], dict[Holding, str]]:
    found = (await node.read({head: holdings}))[head.hash]
    return dict(found.values), dict(found.unreadable)


async def test_a_balance_that_the_preferred_endpoint_does_not_tell_is_asked_of_another(
    mute: FakeNode, anvil: Anvil, minted: Holding
) -> None:
    async with node_at(mute.url, anvil.http_url) as node:
        head = await mined_head(anvil, node)
        assert await read(node, head, minted) == ({minted: 7}, {})
        assert [endpoint.is_aside for endpoint in node._endpoints._endpoints] == [True, False]


async def test_so_is_one_beside_a_block(mute: FakeNode, anvil: Anvil, minted: Holding) -> None:
    async with node_at(mute.url, anvil.http_url) as node:
        head = await mined_head(anvil, node)
        node._viewer.hints.note(head.hash, minted)
        (view,) = await node.look([head], Watch(frozenset([Address(minted.token)]), frozenset([ALICE])))
        assert view.readings.values == {minted: 7, Holding(NATIVE, ALICE): 0}
        assert not view.readings.unreadable


async def test_with_a_single_endpoint_it_is_unreadable(mute: FakeNode, anvil: Anvil, minted: Holding) -> None:
    async with node_at(mute.url) as node:
        head = await mined_head(anvil, node)
        values, unreadable = await read(node, head, minted)
        assert not values
        assert "no bytes" in unreadable[minted]


async def test_what_no_endpoint_tells_is_unreadable_and_costs_no_further_question_for_a_while(anvil: Anvil) -> None:
    odd, time, trips = Holding((await deploy(anvil, "OddToken", 0, 1)).address, ALICE), 0.0, []
    async with node_at(anvil.http_url, anvil.http_url, clock=lambda: time) as node:
        head = await mined_head(anvil, node)
        await node.read({head: [Holding(NATIVE, ALICE)]})
        for time in (0.0, 59.0, 61.0):  # noqa: B007 - the clock reads it
            before = node.counts.trips
            values, unreadable = await read(node, head, odd)
            trips.append(node.counts.trips - before)
            assert not values
            assert "no balances here" in unreadable[odd]
        assert trips == [3, 2, 3]
        assert not any(endpoint.is_aside for endpoint in node._endpoints._endpoints)


async def test_a_provider_that_gives_calls_less_gas_is_no_liar(anvil: Anvil, minted: Holding) -> None:
    async with altered(anvil, out_of_gas) as poor, node_at(poor.url, anvil.http_url) as node:
        head = await mined_head(anvil, node)
        assert await read(node, head, minted) == ({minted: 7}, {})
        assert not any(endpoint.is_aside for endpoint in node._endpoints._endpoints)


async def test_what_takes_a_node_too_long_just_now_is_not_called_unreadable(anvil: Anvil, minted: Holding) -> None:
    async with altered(anvil, out_of_time) as busy:
        async with node_at(busy.url, anvil.http_url) as node:
            head = await mined_head(anvil, node)
            assert await read(node, head, minted) == ({minted: 7}, {})
        async with node_at(busy.url) as node:
            with pytest.raises(NodeUnreachable, match="deadline"):
                await read(node, head, minted)
