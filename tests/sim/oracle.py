"""What must hold at rest, row by row against the canonical chain: I1 to I6 of docs/architecture.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from indexer.domain.balances import BalanceUpdated, Watch, net
from indexer.domain.chain import NATIVE, Address, Holding, Token, TokenInfo
from indexer.domain.recording.records import HISTORY_SEQ, BalanceRecord, HoldingKey
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, StreamResync
from tests.sim.draft import Draft
from tests.sim.passed import Stretch, passed_over
from tests.sim.past import job_is_over, past_is_true, uncovered
from tests.sim.service import STREAM, Life
from tests.sim.settled import finality_is_true
from tests.sim.store import Kept
from tests.sim.witness import Witness, as_told, told_truly
from tests.sim.world import CHAIN_ID, NEWCOMER, SILENT, World, changes_in

COIN: Final = TokenInfo(18, "ETH", "ETH")
"""What the native coin is called by a file that does not say it."""


@dataclass
class Evidence:
    """What a story leaves: `log` is what all clients had been told, `since` from where on a balance is complete.

    `is_archive`: every node had the state of every block. `draft`: what the file says, where somebody edits it. `away`:
    whom nobody watched for a while.
    """

    world: World
    kept: Kept
    log: Sequence[Commit]
    witnesses: Sequence[Witness]
    life: Life
    since: Mapping[Holding, int]
    start_block: int | None = None
    native_interval: int = 1
    is_archive: bool = True
    draft: Draft | None = None
    away: frozenset[Holding] = frozenset()

    @property
    def watch(self) -> Watch:
        return self.life.watching.watch(CHAIN_ID)

    def said(self, token: Token) -> TokenInfo:
        """What it says of itself now, or the file of the native coin."""
        if token == NATIVE:
            return COIN if self.draft is None else self.draft.coin
        return self.world.canonical[-1].info(Address(token))


def at_rest(evidence: Evidence) -> bool:
    """Nothing is going on any more: all heads are followed, all is told and projected, all history filled."""
    world, kept, life = evidence.world, evidence.kept, evidence.life
    state = life.board.one(STREAM)
    truth = world.canonical[-1].balances
    return (
        state is not None
        and state.ready
        and state.block == world.tip.number
        and life.positions.told() == life.positions.projected()
        # A job that was ordered while the store was away is worked off before it is stored.
        and all(job_is_over(job, world, _known(life)) for job in (*kept.jobs.values(), *life.backfills.jobs()))
        and not uncovered(kept, evidence.watch, evidence.start_block)
        and all(
            (row := kept.current.get(HoldingKey(CHAIN_ID, holding))) is not None and row.balance == truth[holding]
            for holding in evidence.watch.holdings()
        )
    )


def is_called_rightly(evidence: Evidence) -> bool:
    """Whether every balance is kept with what its token says of itself, or the file of the native coin."""
    current = evidence.kept.current
    return all(
        (row := current.get(HoldingKey(CHAIN_ID, holding))) is not None and row.info == evidence.said(holding.token)
        for holding in evidence.watch.holdings()
    )


def violations(evidence: Evidence) -> Iterator[str]:
    """All that is not as it should be; a change may be missing only in blocks that the service says it passed over."""
    world, kept, life = evidence.world, evidence.kept, evidence.life
    if life.gave_up is not None:
        yield f"the supervisor gave up: {life.gave_up!r}"
    status = life.board.one(STREAM)
    if status is None or not status.ready or status.block != world.tip.number:
        yield f"not at rest: {status}"
        return
    passed = passed_over(kept.commits)
    yield from _watch_is_meant(evidence)
    yield from _log_is_dense(kept)
    yield from _events_lead_to_the_truth(evidence)
    told = as_told(evidence.log)
    for witness in evidence.witnesses:
        yield from told_truly(witness, evidence.log, told)
        yield from _ends_in_the_truth(evidence, witness)
    yield from finality_is_true(world, kept, natives_are_late=evidence.native_interval > 1)
    for row in kept.records.values():
        yield from _row_is_true(world, row)
    for holding in sorted(evidence.watch.holdings()):
        yield from _balance_is_true(world, kept, holding)
        yield from _is_called_rightly(evidence, holding)
        yield from _history_is_true(evidence, holding, passed)
    yield from past_is_true(
        world,
        kept,
        _known(life),
        evidence.watch,
        evidence.start_block,
        passed,
        natives_are_late=evidence.native_interval > 1,
        away=evidence.away,
    )


def _known(life: Life) -> set[str]:
    """The jobs that the service works off."""
    return {job.id for job in life.backfills.jobs()}


def _watch_is_meant(evidence: Evidence) -> Iterator[str]:
    """What the file names, and of what was added over the API some: an answer that was lost leaves both open."""
    if evidence.draft is None:
        return
    tokens, solvers = frozenset(evidence.draft.tokens), frozenset(evidence.draft.solvers.values())
    watch = evidence.watch
    if not tokens <= watch.tokens <= tokens | {SILENT} or not solvers <= watch.solvers <= solvers | {NEWCOMER}:
        yield f"watched is {watch}, the file says {evidence.draft}"


def _log_is_dense(kept: Kept) -> Iterator[str]:
    ends: dict[str, int] = {}
    for commit in kept.commits:
        due = ends.get(commit.stream, 0) + 1
        if commit.first_seq != due:
            yield f"I5: {commit.stream} has {commit.first_seq} where {due} was due"
        ends[commit.stream] = commit.last_seq


def _events_lead_to_the_truth(evidence: Evidence) -> Iterator[str]:
    balances: dict[Holding, int] = {}
    unsure: set[Holding] = set()
    for commit in evidence.kept.commits:
        for fact in commit.facts:
            if isinstance(fact, BalanceUpdated | BalanceReverted):
                if balances.get(fact.holding) != fact.previous and fact.holding not in unsure:
                    yield f"previous of {fact} is not {balances.get(fact.holding)}"
                balances[fact.holding] = fact.balance
                unsure.discard(fact.holding)
        if any(isinstance(fact, StreamResync) and fact.above is not None for fact in commit.facts):
            # A cut takes back rows of those whom nobody watches just then, and tells only of the others.
            told = {fact.holding for fact in commit.facts if isinstance(fact, BalanceUpdated)}
            confirmed = {
                row.holding for fact in commit.facts if isinstance(fact, StreamResync) for row in fact.confirmed
            }
            unsure = balances.keys() - told - confirmed
    truth = evidence.world.canonical[-1].balances
    for holding in sorted(evidence.watch.holdings()):
        if balances.get(holding) != truth[holding]:
            yield f"events end at {balances.get(holding)} for {holding}, the chain says {truth[holding]}"


def _ends_in_the_truth(evidence: Evidence, witness: Witness) -> Iterator[str]:
    truth = evidence.world.canonical[-1].balances
    for holding in sorted(evidence.watch.holdings()):
        told = witness.balances.get(holding)
        if told != truth[holding]:
            yield f"{witness.name} was told {told} for {holding}, the chain says {truth[holding]}"


def _balance_is_true(world: World, kept: Kept, holding: Holding) -> Iterator[str]:
    current = kept.current.get(HoldingKey(CHAIN_ID, holding))
    truth = world.canonical[-1].balances[holding]
    if current is None or current.balance != truth:
        yield f"I3: {holding} is kept as {current}, the chain says {truth}"
    else:
        yield from _row_is_true(world, current)


def _is_called_rightly(evidence: Evidence, holding: Holding) -> Iterator[str]:
    """Its newest record, and the last that each client was told of it."""
    said = evidence.said(holding.token)
    current = evidence.kept.current.get(HoldingKey(CHAIN_ID, holding))
    if current is not None and current.info != said:
        yield f"{holding} is kept with {current.info}, it says {said}"
    for witness in evidence.witnesses:
        told = witness.words.get(holding)
        if told != (said.decimals, said.symbol):
            yield f"{witness.name} was told {told} of {holding}, it says {said}"


def _history_is_true(evidence: Evidence, holding: Holding, passed: Sequence[Stretch]) -> Iterator[str]:
    world = evidence.world
    rows = sorted((r for r in evidence.kept.records.values() if r.holding == holding), key=lambda row: row.block.number)
    if not rows:
        yield f"{holding} has no history"
        return
    current = evidence.kept.current.get(HoldingKey(CHAIN_ID, holding))
    if current is not None and rows[-1].balance != current.balance:
        yield f"I3: the newest record of {holding} is {rows[-1]}, kept is {current}"
    yield from _holds_until_the_next(world, rows)
    yield from _changes_add_up(rows)
    live = [row.block.number for row in rows if row.seq != HISTORY_SEQ]
    since = evidence.since.get(holding)
    if since is None or holding.token == SILENT or not live:
        return
    there = {row.block.hash for row in rows}
    for block in changes_in(world.canonical[max(since, live[0]) :], holding).keys() - there:
        number = world.blocks[block].head.number
        if not any(each.has(number) for each in passed) and not _is_found_late(evidence, rows, number):
            yield f"I3: {holding} changed at block {number}, and no record says so"


def _changes_add_up(rows: Sequence[BalanceRecord]) -> Iterator[str]:
    """The oldest says that it is the first; every other one what it changed since the one below, whatever led to it."""
    if (rows[0].cause, rows[0].change) != ("first", None):
        yield f"{rows[0]} is the oldest, and does not say so"
    for older, newer in pairwise(rows):
        if newer.cause == "first" or newer.change != newer.balance - older.balance:
            yield f"{newer} does not follow on {older}"


def _is_found_late(evidence: Evidence, rows: Sequence[BalanceRecord], number: int) -> bool:
    """Natives that are read now and then are searched; without state the next record says that it was found by reading.

    Whatever led to that one, heard or filled in: only where nobody read the blocks right below it. Natives only grow in
    this world: so no change is hidden from a search by one that takes it back. A resync reads all anew, and what was
    not read right below it is not gone on from, state or not.
    """
    if evidence.native_interval == 1:
        return False
    following = next((row for row in rows if row.block.number > number), None)
    if following is None or following.holding.token != NATIVE or following.joined:
        return False
    return following.cause == "resync" or (following.cause in ("sync", "refresh") and not evidence.is_archive)


def _holds_until_the_next(world: World, rows: Sequence[BalanceRecord]) -> Iterator[str]:
    """Asked for a block in between, the older one is the answer."""
    for older, newer in pairwise(rows):
        for block in world.canonical[older.block.number + 1 : older.holds_until(newer) + 1]:
            if block.balances[older.holding] != older.balance:
                yield f"{older} does not hold at block {block.head.number}, though {newer} is the next"
                break


def _row_is_true(world: World, row: BalanceRecord) -> Iterator[str]:
    block = world.blocks.get(row.block.hash)
    if block is None or not world.is_canonical(row.block.hash):
        yield f"I3: {row} is of an orphaned block"
    elif block.balances[row.holding] != row.balance:
        yield f"I1: {row} is not what its block says ({block.balances[row.holding]})"
    elif row.unexplained is not None and row.change != net(row.transfers, row.holding.solver) + row.unexplained:
        yield f"{row} does not add up"
    elif row.unexplained and row.holding.token not in (SILENT, NATIVE):
        yield f"{row} leaves something unexplained, though every change has its log"
    elif not all(world.is_canonical(log.block_hash) for log in row.transfers):
        yield f"{row} is explained by an orphaned log"
