"""A finalized block that is still to come."""

from __future__ import annotations

import pytest

from indexer.demo.anvil import Anvil
from tests.clients.evm.builders import node_at
from tests.fixtures.moody import Moody

pytestmark = pytest.mark.node


async def test_a_tag_above_the_newest_block_of_who_told_it_is_left_out(anvil: Anvil) -> None:
    await anvil.mine(5)
    async with Moody(anvil.http_url, anvil.ws_url) as way, node_at(way.http_url) as node:
        newest = await node.newest()
        assert not (await node.tags(newest)).untrue
        way.finalized_above = 70
        tags = await node.tags(newest)
        assert (tags.finalized, tags.beside, tags.untrue) == (None, newest, True)
        assert tags.safe is not None


async def test_another_endpoint_is_asked_where_one_tells_a_tag_that_is_still_to_come(anvil: Anvil) -> None:
    await anvil.mine(5)
    async with (
        Moody(anvil.http_url, anvil.ws_url) as way,
        Moody(anvil.http_url, anvil.ws_url) as other,
        node_at(way.http_url, other.http_url) as node,
    ):
        await node.newest()
        way.finalized_above = 70
        tags = await node.tags()
        assert tags.finalized is not None
        assert not tags.untrue
