"""Which chain each of several endpoints follows; they are played over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from indexer.clients.evm.node import EvmNode
from indexer.domain.chain import BlockHash, ChainIdentity
from indexer.errors import WrongChain
from tests.clients.evm.builders import node_at
from tests.fixtures.fakenode import FakeNode, header

OURS, THEIRS = BlockHash("0x" + "0a" * 32), BlockHash("0x" + "0b" * 32)


def begin_with(teller: FakeNode, genesis: BlockHash) -> None:
    teller.methods["eth_getBlockByNumber"] = lambda _number, _full: header(0, genesis)


@asynccontextmanager
async def beginning(*geneses: BlockHash) -> AsyncIterator[tuple[EvmNode, list[FakeNode]]]:
    async with AsyncExitStack() as stack:
        tellers = [await stack.enter_async_context(FakeNode(chain_id=1)) for _ in geneses]
        for teller, genesis in zip(tellers, geneses, strict=True):
            begin_with(teller, genesis)
        node = await stack.enter_async_context(node_at(*(teller.url for teller in tellers), chain_id=1))
        yield node, tellers


async def test_each_endpoint_says_which_chain_it_follows_and_those_of_another_are_left_and_shown() -> None:
    async with beginning(THEIRS, OURS, OURS) as (node, tellers):
        voices = await node.identities()
        assert [identity.genesis for identity in voices.values()] == [THEIRS, OURS, OURS]
        assert not node.troubles
        node.expect(OURS)
        (trouble,) = node.troubles
        assert (trouble.endpoint, trouble.health) == (f"127.0.0.1:{tellers[0].port}", "lost")
        assert THEIRS in trouble.reason
        assert await node.identity() == ChainIdentity(1, OURS)


async def test_one_that_does_not_answer_has_no_voice() -> None:
    async with beginning(OURS, THEIRS) as (node, tellers):
        tellers[1].respond = lambda _payload: web.Response(status=503)
        assert [identity.genesis for identity in (await node.identities()).values()] == [OURS]


async def test_a_single_endpoint_is_asked_once() -> None:
    async with beginning(OURS) as (node, tellers):
        assert [identity.genesis for identity in (await node.identities()).values()] == [OURS]
        assert len(tellers[0].requests) == 1


async def test_an_endpoint_that_was_born_again_is_left_for_another_one() -> None:
    async with beginning(OURS, OURS) as (node, tellers):
        node.expect(OURS)
        assert await node.identity() == ChainIdentity(1, OURS)
        begin_with(tellers[0], THEIRS)
        assert await node.identity() == ChainIdentity(1, OURS)
        assert [trouble.endpoint for trouble in node.troubles] == [f"127.0.0.1:{tellers[0].port}"]
        begin_with(tellers[1], THEIRS)
        with pytest.raises(WrongChain, match="genesis"):
            await node.identity()
