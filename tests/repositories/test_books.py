"""Checkpoints, the watchlist, token metadata and chain identities."""

from __future__ import annotations

from unittest import mock

import pytest
from pymongo.errors import AutoReconnect

from indexer.domain.balances import Watch
from indexer.domain.chain import Address, BlockHash, ChainIdentity, TokenInfo
from indexer.domain.resuming.checkpoints import Mark, StoredCheckpoint
from indexer.domain.watching import Solver, WatchedToken
from indexer.errors import StoreUnavailable, WrongChain
from repositories.checkpoints import Checkpoints
from repositories.store import Store
from tests.repositories.samples import INFO, USDC, block_hash, head_at, solver_at


async def test_a_stream_that_was_never_followed_has_no_checkpoint(store: Store) -> None:
    assert await store.checkpoints.load("chain:1") is None
    assert await store.checkpoints.projected() == {}


async def test_following_and_projecting_are_kept_side_by_side(store: Store) -> None:
    heads = tuple(head_at(number) for number in (5, 6, 7))
    await store.checkpoints.set_projected("chain:1", 4)
    assert await store.checkpoints.load("chain:1") == StoredCheckpoint((), 4)
    await store.checkpoints.follow("chain:1", heads[:2], Mark())
    await store.checkpoints.follow("chain:1", heads, Mark())
    await store.checkpoints.follow("chain:2", heads, Mark())
    assert await store.checkpoints.load("chain:1") == StoredCheckpoint(heads, 4)
    assert await store.checkpoints.load("chain:2") == StoredCheckpoint(heads, 0)
    assert await store.checkpoints.projected() == {"chain:1": 4, "chain:2": 0}


async def test_what_was_told_last_of_a_stream_that_was_left_is_kept_beside_what_its_next_life_keeps(
    store: Store,
) -> None:
    heads = (head_at(5),)
    await store.checkpoints.follow("chain:1", heads, Mark())
    await store.checkpoints.leave("chain:1", 9)
    await store.checkpoints.leave("chain:1", 7)
    await store.checkpoints.follow("chain:1", heads, Mark())
    assert await store.checkpoints.load("chain:1") == StoredCheckpoint(heads, 0, left=9)


async def test_what_was_told_last_of_it_is_known_before_the_store_has_taken_it(store: Store) -> None:
    await store.checkpoints.set_projected("chain:1", 3)
    away = mock.Mock(update_one=mock.AsyncMock(side_effect=AutoReconnect("gone")))
    with mock.patch.object(store.checkpoints, "_checkpoints", away), pytest.raises(StoreUnavailable):
        await store.checkpoints.leave("chain:1", 9)
    assert await store.checkpoints.load("chain:1") == StoredCheckpoint((), 3, left=9)


async def test_of_two_that_follow_one_stream_neither_passes_its_blocks_off_as_followed_for_the_other(
    store: Store,
) -> None:
    ours, theirs = (Watch(frozenset({USDC}), frozenset({solver_at(number)})) for number in (1, 2))
    one, other = store.checkpoints, Checkpoints(store._database)
    heads = tuple(head_at(number) for number in (5, 6))

    async def stored() -> Watch | None:
        found = await Checkpoints(store._database).load("chain:1")
        assert found is not None
        return found.mark.watch

    await one.follow("chain:1", heads[:1], Mark(watch=ours))
    await one.follow("chain:1", heads, Mark())
    assert await stored() == ours
    await other.load("chain:1")
    await other.follow("chain:1", heads[:1], Mark(watch=theirs))
    assert await stored() == theirs
    await one.load("chain:1")
    await one.follow("chain:1", heads, Mark())
    assert await stored() == Watch()
    await other.follow("chain:1", heads, Mark())
    assert await stored() == theirs
    again = Checkpoints(store._database)
    await again.load("chain:1")
    await again.follow("chain:1", heads, Mark())
    assert await stored() == theirs


async def test_the_projected_position_never_moves_back(store: Store) -> None:
    for seq in (4, 9, 7):
        await store.checkpoints.set_projected("chain:1", seq)
    assert await store.checkpoints.projected() == {"chain:1": 9}


async def test_solvers_are_added_changed_and_removed_as_often_as_one_likes(store: Store) -> None:
    acme, zeta = Solver("acme", solver_at(1), (1, 10)), Solver("zeta", solver_at(2))
    for solver in (zeta, acme, acme):
        await store.watchlist.add_solver(solver)
    assert await store.watchlist.solvers() == [acme, zeta]
    for _ in range(2):
        await store.watchlist.remove_solver("acme")
    assert await store.watchlist.solvers() == [zeta]


async def test_tokens_are_added_and_removed_as_often_as_one_likes(store: Store) -> None:
    usdc, other = WatchedToken(1, USDC, INFO), WatchedToken(1, Address(solver_at(9)))
    on_another_chain = WatchedToken(10, USDC, TokenInfo(6))
    for _ in range(2):
        await store.watchlist.add_tokens([on_another_chain, usdc, other])
    assert await store.watchlist.tokens() == [other, usdc, on_another_chain]
    for _ in range(2):
        await store.watchlist.remove_token(1, USDC)
    assert await store.watchlist.tokens() == [other, on_another_chain]


async def test_what_tokens_say_is_kept_per_chain(store: Store) -> None:
    await store.tokens.put(1, USDC, TokenInfo())
    await store.tokens.put(1, USDC, INFO)
    await store.tokens.put(10, USDC, TokenInfo(18))
    assert await store.tokens.get(1) == {USDC: INFO}
    assert await store.tokens.get(2) == {}


async def test_a_chain_id_belongs_to_the_genesis_that_claimed_it_first(store: Store) -> None:
    ours, theirs = block_hash(0), BlockHash(block_hash(0, "b"))
    assert await store.chains.identity(1) is None
    for _ in range(2):
        await store.chains.claim(ChainIdentity(1, ours))
    await store.chains.claim(ChainIdentity(2, theirs))
    with pytest.raises(WrongChain, match=rf"chain 1: .*{theirs}.*{ours}"):
        await store.chains.claim(ChainIdentity(1, theirs))
    assert await store.chains.identity(1) == ours
