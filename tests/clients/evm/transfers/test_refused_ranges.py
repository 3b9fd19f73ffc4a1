"""Ranges of logs that are refused in words which nobody has met, or which mean something else elsewhere."""

from __future__ import annotations

import pytest

from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.balances import Watch
from indexer.errors import BadAnswer, IndexerError, NodeUnreachable, ResponseTooLarge, StateMissing
from tests.clients.evm.builders import eventually, node_at
from tests.fixtures.chain import wallets
from tests.fixtures.moody import Moody

pytestmark = pytest.mark.node

UNKNOWN = (-32602, "that is more of the past than anybody may want")
LIKE_A_THROTTLE = (-32000, "too many requests for such work")
LATE = (-32000, "query timeout exceeded")


@pytest.mark.parametrize("words", [UNKNOWN, LIKE_A_THROTTLE, LATE])
async def test_a_range_that_is_refused_while_one_block_of_it_is_told_is_too_large(
    anvil: Anvil, token: Deployed, words: tuple[int, str]
) -> None:
    (ours,) = wallets(1)
    watch = Watch(frozenset([token.address]), frozenset([ours]))
    await token.send("mint", ours, 7)
    await anvil.mine(20)
    async with Moody(anvil.http_url, anvil.ws_url) as way, node_at(way.http_url) as node:
        newest = await node.newest()
        way.most_blocks, way.range_words = 5, words
        with pytest.raises(ResponseTooLarge, match=words[1]):
            await node.moved(newest.number - 18, newest.number, watch)
        found = await node.moved(newest.number - 20, newest.number - 16, watch)
        assert await node.moved(newest.number - 4, newest.number, watch) == ()
    async with node_at(anvil.http_url) as node:
        assert found == await node.moved(newest.number - 20, newest.number - 16, watch)


@pytest.mark.parametrize(("words", "meaning"), [(UNKNOWN, BadAnswer), (LATE, NodeUnreachable)])
async def test_an_endpoint_that_refuses_one_block_as_well_is_not_asked_for_fewer(
    anvil: Anvil, token: Deployed, words: tuple[int, str], meaning: type[IndexerError]
) -> None:
    watch = Watch(frozenset([token.address]), frozenset(wallets(1)))
    await anvil.mine(20)
    async with Moody(anvil.http_url, anvil.ws_url) as way, node_at(way.http_url) as node:
        way.most_blocks, way.range_words = 0, words
        with pytest.raises(meaning):
            await node.moved(2, 9, watch)


async def test_logs_that_one_may_have_who_is_away_for_a_moment_are_not_gone_for_good(
    anvil: Anvil, token: Deployed
) -> None:
    watch = Watch(frozenset([token.address]), frozenset(wallets(1)))
    await anvil.mine(20)
    async with (
        Moody(anvil.http_url, anvil.ws_url) as expired,
        Moody(anvil.http_url, anvil.ws_url) as archive,
        node_at(expired.http_url, archive.http_url) as node,
    ):
        newest = await node.newest()
        expired.logs_from, archive.mood = newest.number, "503"
        with pytest.raises(StateMissing) as problem:
            await node.moved(newest.number - 9, newest.number - 1, watch)
        assert problem.value.unasked == (archive.name,)
        archive.mood = "well"
        await eventually(lambda: not node.troubles)
        assert await node.moved(newest.number - 9, newest.number - 1, watch) == ()
