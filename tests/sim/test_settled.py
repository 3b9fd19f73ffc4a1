"""What the oracle makes of a block that was told as final and of which another one took the place."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Holding, TokenInfo
from indexer.domain.following.finality import FINALIZED_DEPTH, Settled
from indexer.domain.recording.records import Settling, fold
from indexer.domain.telling.facts import ChainFinalized, Checkpoint
from tests.sim.settled import finality_is_true
from tests.sim.store import Kept
from tests.sim.test_past import committed
from tests.sim.world import CHAIN_ID, TOKENS, WALLETS, World

WATCHED = Holding(TOKENS[0], WALLETS[0])


def found(length: int, *, called_final: bool = False) -> list[str]:
    """Block 4 is told as final with so many above it; then a reorg would take it, and a node calls block 9 final."""
    world = World(Random(7))  # noqa: S311 - a story, not a secret
    for _ in range(4 + length):
        world.mine()
    told = world.canonical[4]
    if called_final:
        world.finalize(told)
    world.reorg(length + 2)
    world.finalize(world.canonical[9])
    kept = Kept(commits=[committed(ChainFinalized(CHAIN_ID, told.head.ref, "finalized"))])
    return [line for line in finality_is_true(world, kept, natives_are_late=False) if "another block" in line]


def test_what_no_node_called_final_and_lay_deep_enough_may_be_told_as_final() -> None:
    """On a young chain no node calls any block final: depth is all that anybody has to go by."""
    assert not found(FINALIZED_DEPTH)


def test_what_did_not_lie_deep_enough_may_not() -> None:
    assert found(FINALIZED_DEPTH - 1)


def test_what_a_node_called_final_stays() -> None:
    assert not found(FINALIZED_DEPTH - 1, called_final=True)


@pytest.mark.parametrize(("settled", "untold"), [(None, {"safe", "finalized"}), (Settled(safe=0), {"finalized"})])
def test_a_record_need_not_be_told_as_what_its_block_was_when_it_was_recorded(
    settled: Settled | None, untold: set[str]
) -> None:
    """All answers say that it is, from the first one on; by an advance it never gets there."""
    world = World(Random(7))  # noqa: S311 - as above
    for _ in range(9):
        world.mine()
    head = world.canonical[0].head
    first = BalanceUpdated(CHAIN_ID, WATCHED, None, 0, head.ref, "first", TokenInfo())
    commit = replace(committed(first), checkpoint=Checkpoint(head, settled))
    kept = Kept(commits=[commit], settlings={CHAIN_ID: Settling(Settled(5, 3), 1)})
    kept.records.update(fold([commit]).records)
    found = list(finality_is_true(world, kept, natives_are_late=False))
    assert found == [f"block 0 got {level}, told was -1" for level in ("safe", "finalized") if level in untold]


def test_a_block_counts_as_deep_as_it_ever_lay() -> None:
    world = World(Random(7))  # noqa: S311 - as above
    for _ in range(FINALIZED_DEPTH + 2):
        world.mine()
    deep = {block.head.hash for block in world.canonical[1:3]}
    world.reorg(10, longer=-10)
    world.reorg(len(world.canonical) - 1)
    assert world.deep_orphans == deep
