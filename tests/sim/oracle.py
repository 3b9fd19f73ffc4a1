"""What must hold at rest, row by row against the canonical chain: invariants I1 to I6."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from indexer.domain.balances import BalanceUpdated, net
from indexer.domain.chain import Holding
from indexer.domain.commits import Commit
from indexer.domain.facts import BalanceReverted, StreamResync
from indexer.domain.records import BalanceRecord, HoldingKey
from tests.sim.service import STREAM, Life
from tests.sim.settled import finality_is_true
from tests.sim.store import Disk, Kept
from tests.sim.witness import Witness, told_truly
from tests.sim.world import CHAIN_ID, WATCH, World, changes_in


def violations(
    world: World, disk: Disk, log: Sequence[Commit], witnesses: Sequence[Witness], life: Life, *, exact: bool
) -> Iterator[str]:
    """`exact`: no reorg went deeper than the window, so that no block's change may be missing from history."""
    if life.gave_up is not None:
        yield f"the supervisor gave up: {life.gave_up!r}"
    status, kept = life.board.one(STREAM), disk.kept
    if status is None or not status.ready or status.block != world.tip.number:
        yield f"not at rest: {status}"
        return
    yield from _log_is_dense(kept)
    yield from _events_lead_to_the_truth(world, kept)
    for witness in witnesses:
        yield from told_truly(witness, log)
        yield from _ends_in_the_truth(world, witness)
    yield from finality_is_true(world, kept)
    for holding in sorted(WATCH.holdings()):
        yield from _balance_is_true(world, kept, holding)
        yield from _history_is_true(world, kept, holding, exact=exact)


def _log_is_dense(kept: Kept) -> Iterator[str]:
    ends: dict[str, int] = {}
    for commit in kept.commits:
        due = ends.get(commit.stream, 0) + 1
        if commit.first_seq != due:
            yield f"I5: {commit.stream} has {commit.first_seq} where {due} was due"
        ends[commit.stream] = commit.last_seq


def _events_lead_to_the_truth(world: World, kept: Kept) -> Iterator[str]:
    balances: dict[Holding, int] = {}
    for commit in kept.commits:
        for fact in commit.facts:
            if isinstance(fact, BalanceUpdated | BalanceReverted):
                if balances.get(fact.holding) != fact.previous:
                    yield f"previous of {fact} is not {balances.get(fact.holding)}"
                balances[fact.holding] = fact.balance
    truth = world.canonical[-1].balances
    for holding in WATCH.holdings():
        if balances.get(holding) != truth[holding]:
            yield f"events end at {balances.get(holding)} for {holding}, the chain says {truth[holding]}"


def _ends_in_the_truth(world: World, witness: Witness) -> Iterator[str]:
    truth = world.canonical[-1].balances
    for holding in WATCH.holdings():
        if witness.balances.get(holding) != truth[holding]:
            told = witness.balances.get(holding)
            yield f"{witness.name} was told {told} for {holding}, the chain says {truth[holding]}"


def _balance_is_true(world: World, kept: Kept, holding: Holding) -> Iterator[str]:
    current = kept.current.get(HoldingKey(CHAIN_ID, holding))
    truth = world.canonical[-1].balances[holding]
    if current is None or current.balance != truth:
        yield f"I3: {holding} is kept as {current}, the chain says {truth}"
    else:
        yield from _row_is_true(world, current)


def _history_is_true(world: World, kept: Kept, holding: Holding, *, exact: bool) -> Iterator[str]:
    rows = sorted((r for r in kept.records.values() if r.holding == holding), key=lambda row: row.block.number)
    if not rows:
        yield f"{holding} has no history"
        return
    for row in rows:
        yield from _row_is_true(world, row)
    if exact and not any(isinstance(fact, StreamResync) for commit in kept.commits for fact in commit.facts):
        first = rows[0].block.number
        due = changes_in(world.canonical[first:], holding)
        there = {row.block.hash for row in rows}
        for block in due.keys() - there:
            yield f"I3: {holding} changed at block {world.blocks[block].head.number}, and no record says so"


def _row_is_true(world: World, row: BalanceRecord) -> Iterator[str]:
    block = world.blocks.get(row.block.hash)
    if block is None or not world.is_canonical(row.block.hash):
        yield f"I3: {row} is of an orphaned block"
    elif block.balances[row.holding] != row.balance:
        yield f"I1: {row} is not what its block says ({block.balances[row.holding]})"
    elif row.unexplained is not None and row.change != net(row.transfers, row.holding.solver) + row.unexplained:
        yield f"{row} does not add up"
    elif row.unexplained:
        yield f"{row} leaves something unexplained, though every change has its log"
    elif not all(world.is_canonical(log.block_hash) for log in row.transfers):
        yield f"{row} is explained by an orphaned log"
