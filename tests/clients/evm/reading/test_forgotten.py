"""An old block whose state is refused in words that nobody has met."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from indexer.clients.evm.endpoints import standing
from indexer.clients.evm.node import EvmNode
from indexer.demo.anvil import Anvil
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Head, Holding
from indexer.errors import BadAnswer, IndexerError, NodeUnreachable, StateMissing
from tests.clients.evm.builders import eventually, node_at
from tests.fixtures.chain import wallets
from tests.fixtures.moody import Mood, Moody

pytestmark = pytest.mark.node

KNOWN = (-32000, "missing trie node")
UNKNOWN = (-32603, "nothing is kept of that block 12")
LIKE_A_THROTTLE = (-32000, "too many requests for such work")
WATCH = Watch(frozenset(), frozenset(wallets(3)))
HOLDINGS = [Holding(NATIVE, wallet) for wallet in wallets(3)]


@asynccontextmanager
async def old_block(anvil: Anvil, *ways: Moody) -> AsyncIterator[tuple[EvmNode, Head]]:
    """Twenty blocks below the newest one."""
    await anvil.mine(30)
    async with node_at(*(way.http_url for way in ways)) as node:
        newest = await node.newest()
        (old,) = await node.headers(newest.number - 20, newest.number - 20)
        for way in ways:
            way.pruned_below = newest.number - 10
        yield node, old


@pytest.mark.parametrize("words", [UNKNOWN, LIKE_A_THROTTLE])
async def test_state_that_is_refused_each_time_while_the_head_is_told_is_gone_in_whatever_words(
    anvil: Anvil, words: tuple[int, str]
) -> None:
    async with Moody(anvil.http_url, anvil.ws_url) as way, old_block(anvil, way) as (node, old):
        way.pruned_words = words
        with pytest.raises(StateMissing, match=words[1]):
            await node.read({old: HOLDINGS})
        with pytest.raises(StateMissing, match=words[1]):
            await node.look([old], WATCH)
        newest = await node.newest()
        assert len((await node.read({newest: HOLDINGS}))[newest.hash].values) == len(HOLDINGS)


async def test_a_refusal_that_ends_is_no_missing_state(anvil: Anvil) -> None:
    async with Moody(anvil.http_url, anvil.ws_url) as way, old_block(anvil, way) as (node, old):
        way.pruned_words = UNKNOWN
        asked = asyncio.ensure_future(node.read({old: HOLDINGS}))
        await asyncio.sleep(1.5)
        way.pruned_below = 0
        with pytest.raises(BadAnswer):
            await asked
        assert len((await node.read({old: HOLDINGS}))[old.hash].values) == len(HOLDINGS)


@pytest.mark.parametrize("words", [UNKNOWN, LIKE_A_THROTTLE])
async def test_one_that_refuses_the_head_as_well_is_ill_and_nothing_is_gone(
    anvil: Anvil, words: tuple[int, str]
) -> None:
    async with Moody(anvil.http_url, anvil.ws_url) as way, old_block(anvil, way) as (node, old):
        way.pruned_words, way.pruned_below = words, 10**9
        with pytest.raises(IndexerError) as problem:
            await node.read({old: HOLDINGS})
        assert not isinstance(problem.value, StateMissing)


@pytest.mark.parametrize("mood", ["503", "429", "html"])
async def test_an_outage_is_no_missing_state(anvil: Anvil, mood: Mood) -> None:
    async with Moody(anvil.http_url, anvil.ws_url) as way, old_block(anvil, way) as (node, old):
        way.pruned_words, way.mood = UNKNOWN, mood
        with pytest.raises(IndexerError) as problem:
            await node.read({old: HOLDINGS})
        assert not isinstance(problem.value, StateMissing)


async def test_nor_is_one_of_a_node_whose_state_was_found_to_be_gone(anvil: Anvil) -> None:
    async with Moody(anvil.http_url, anvil.ws_url) as way, old_block(anvil, way) as (node, old):
        way.pruned_words = UNKNOWN
        with pytest.raises(StateMissing):
            await node.read({old: HOLDINGS})
        await way.stop()
        with pytest.raises(NodeUnreachable):
            await node.read({old: HOLDINGS})


async def test_state_that_another_endpoint_has_is_read_there(anvil: Anvil) -> None:
    async with (
        Moody(anvil.http_url, anvil.ws_url) as pruned,
        Moody(anvil.http_url, anvil.ws_url) as archive,
        old_block(anvil, pruned, archive) as (node, old),
    ):
        pruned.pruned_words, archive.pruned_below = UNKNOWN, 0
        assert len((await node.read({old: HOLDINGS}))[old.hash].values) == len(HOLDINGS)


async def test_state_is_gone_where_each_endpoint_says_so_in_words_of_its_own(anvil: Anvil) -> None:
    """One that is lost for its strange words has said so, too."""
    async with (
        Moody(anvil.http_url, anvil.ws_url) as one,
        Moody(anvil.http_url, anvil.ws_url) as other,
        old_block(anvil, one, other) as (node, old),
    ):
        one.pruned_words = UNKNOWN
        for _ in range(4):
            with pytest.raises(StateMissing) as problem:
                await node.read({old: HOLDINGS})
            assert problem.value.unasked == ()


@pytest.mark.parametrize("words", [KNOWN, UNKNOWN, LIKE_A_THROTTLE])
async def test_state_that_one_may_have_who_is_away_for_a_moment_is_not_gone_for_good(
    anvil: Anvil, words: tuple[int, str]
) -> None:
    async with (
        Moody(anvil.http_url, anvil.ws_url) as pruned,
        Moody(anvil.http_url, anvil.ws_url) as archive,
        old_block(anvil, pruned, archive) as (node, old),
    ):
        pruned.pruned_words, archive.pruned_below, archive.mood = words, 0, "503"
        for _ in range(2):
            with pytest.raises(StateMissing) as problem:
                await node.read({old: HOLDINGS})
            assert problem.value.unasked == (archive.name,)
        archive.mood = "well"
        await eventually(lambda: archive.name not in {trouble.endpoint for trouble in node.troubles})
        assert len((await node.read({old: HOLDINGS}))[old.hash].values) == len(HOLDINGS)


@pytest.mark.parametrize("constant", ["HOPE_SECONDS", "_FIRST_HOPE_SECONDS"])
async def test_who_is_away_for_long_or_was_never_there_is_not_waited_for(
    anvil: Anvil, monkeypatch: pytest.MonkeyPatch, constant: str
) -> None:
    monkeypatch.setattr(standing, constant, 1.0)
    async with (
        Moody(anvil.http_url, anvil.ws_url) as pruned,
        Moody(anvil.http_url, anvil.ws_url) as archive,
        old_block(anvil, pruned, archive) as (node, old),
    ):
        if constant == "HOPE_SECONDS":
            await node.identities()
        pruned.pruned_words, archive.mood = KNOWN, "503"
        unasked = []
        for _ in range(2):
            with pytest.raises(StateMissing) as problem:
                await node.read({old: HOLDINGS})
            unasked.append(problem.value.unasked)
            await asyncio.sleep(1.0)
        assert unasked == [(archive.name,), ()]


async def test_a_block_near_the_head_is_not_taken_for_forgotten(anvil: Anvil) -> None:
    async with Moody(anvil.http_url, anvil.ws_url) as way, old_block(anvil, way) as (node, _):
        newest = await node.newest()
        (near,) = await node.headers(newest.number - 3, newest.number - 3)
        way.pruned_words, way.pruned_below = UNKNOWN, newest.number
        with pytest.raises(BadAnswer):
            await node.read({near: HOLDINGS})
