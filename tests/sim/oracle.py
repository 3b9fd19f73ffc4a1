"""What must hold at rest, row by row against the canonical chain: invariants I1 to I6."""

from __future__ import annotations

from collections.abc import Iterator

from indexer.domain.balances import BalanceUpdated, net
from indexer.domain.chain import Holding
from indexer.domain.facts import BalanceReverted, StreamResync
from indexer.domain.records import BalanceRecord, HoldingKey
from tests.sim.service import Client, Life
from tests.sim.settled import finality_is_true
from tests.sim.store import SimStore
from tests.sim.world import CHAIN_ID, WATCH, World, changes_in


def violations(world: World, store: SimStore, client: Client, life: Life, *, exact: bool) -> Iterator[str]:
    """`exact`: no reorg went deeper than the window, so that no block's change may be missing from history."""
    if life.gave_up is not None:
        yield f"the supervisor gave up: {life.gave_up!r}"
    statuses = life.board.streams()
    if not statuses or not statuses[0].ready or statuses[0].block != world.tip.number:
        yield f"not at rest: {statuses}"
        return
    yield from _log_is_dense(store)
    yield from _client_saw_the_log(store, client)
    yield from _events_lead_to_the_truth(world, client)
    yield from finality_is_true(world, store)
    for holding in sorted(WATCH.holdings()):
        yield from _balance_is_true(world, store, holding)
        yield from _history_is_true(world, store, holding, exact=exact)


def _log_is_dense(store: SimStore) -> Iterator[str]:
    expected = 1
    for commit in store.commits:
        if commit.first_seq != expected:
            yield f"I5: the log has {commit.first_seq} where {expected} was due"
        expected = commit.last_seq + 1


def _client_saw_the_log(store: SimStore, client: Client) -> Iterator[str]:
    if [commit.id for commit in client.commits] != [commit.id for commit in store.commits]:
        seen, kept = [c.first_seq for c in client.commits], [c.first_seq for c in store.commits]
        yield f"I4/I5: the client saw {seen}, the log keeps {kept}"


def _events_lead_to_the_truth(world: World, client: Client) -> Iterator[str]:
    balances: dict[Holding, int] = {}
    for commit in client.commits:
        for fact in commit.facts:
            if isinstance(fact, BalanceUpdated | BalanceReverted):
                if balances.get(fact.holding) != fact.previous:
                    yield f"previous of {fact} is not {balances.get(fact.holding)}"
                balances[fact.holding] = fact.balance
    truth = world.canonical[-1].balances
    for holding in WATCH.holdings():
        if balances.get(holding) != truth[holding]:
            yield f"events end at {balances.get(holding)} for {holding}, the chain says {truth[holding]}"


def _balance_is_true(world: World, store: SimStore, holding: Holding) -> Iterator[str]:
    current = store.current.get(HoldingKey(CHAIN_ID, holding))
    truth = world.canonical[-1].balances[holding]
    if current is None or current.balance != truth:
        yield f"I3: {holding} is kept as {current}, the chain says {truth}"
    else:
        yield from _row_is_true(world, current)


def _history_is_true(world: World, store: SimStore, holding: Holding, *, exact: bool) -> Iterator[str]:
    rows = sorted((r for r in store.records.values() if r.holding == holding), key=lambda row: row.block.number)
    if not rows:
        yield f"{holding} has no history"
        return
    for row in rows:
        yield from _row_is_true(world, row)
    if exact and not any(isinstance(fact, StreamResync) for commit in store.commits for fact in commit.facts):
        first = rows[0].block.number
        due = changes_in(world.canonical[first:], holding)
        kept = {row.block.hash for row in rows}
        for block in due.keys() - kept:
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
