"""What the simulated store claims is what the real one does: the same writes, the same answers."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.domain.balances import BalanceUpdated, Watch
from indexer.domain.chain import NATIVE, Address, BlockRef, ChainIdentity, Holding, TokenInfo, Transfer, TxHash
from indexer.domain.following.finality import Settled
from indexer.domain.history.backfill import Chunk, Moved, Native
from indexer.domain.history.jobs import Anchor, Job, Stage
from indexer.domain.recording.holes import Apart, Rejoined, Rejoining
from indexer.domain.recording.records import fold
from indexer.domain.resuming.checkpoints import Mark
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import (
    BalanceReverted,
    Checkpoint,
    Confirmed,
    Fact,
    HistoryFilled,
    HistoryRow,
    Joint,
    Orphaned,
    Passed,
    StreamResync,
)
from indexer.domain.watching import Solver, WatchedToken
from indexer.errors import Fenced, StoreUnavailable, WrongChain
from repositories.store import Store, open_store
from tests.repositories.samples import INFO, TIME, USDC, block_hash, head_at, solver_at
from tests.sim.clock import play
from tests.sim.faults import NONE
from tests.sim.store import Disk, SimStore

T = TypeVar("T", HistoryRow, Joint)

HOLDINGS = (Holding(USDC, solver_at(1)), Holding(NATIVE, solver_at(1)), Holding(USDC, solver_at(2)))

numbers, balances = st.integers(0, 7), st.integers(0, 3)
holdings, forks = st.sampled_from(HOLDINGS), st.sampled_from("ab")
blocks = st.builds(lambda number, fork: head_at(number, fork).ref, numbers, forks)
updates = st.builds(
    lambda holding, balance, block, change: BalanceUpdated(
        1, holding, None if change is None else balance, balance, block, "first" if change is None else "transfer", INFO
    ),
    holdings,
    balances,
    blocks,
    st.none() | st.just(0),
)
reverts = st.builds(
    lambda holding, balance, block, orphaned, anchor: BalanceReverted(
        1, holding, 9, balance, block, INFO, tuple(Orphaned(each.number, each.hash, 1) for each in orphaned), anchor
    ),
    holdings,
    balances,
    blocks,
    st.lists(blocks, max_size=3),
    st.booleans(),
)
gaps = st.builds(
    lambda after, followed, trails: Passed(after, tuple(sorted(followed)), tuple(sorted(followed)) if trails else ()),
    blocks,
    st.sets(holdings, max_size=2),
    st.booleans(),
)
resyncs = st.builds(
    lambda block, above, confirmed, passed: StreamResync(
        1,
        "why",
        block,
        above,
        tuple(Confirmed(holding, balance, INFO) for holding, balance in confirmed.items()),
        passed,
    ),
    blocks,
    st.none() | numbers,
    st.dictionaries(holdings, balances, max_size=2),
    st.none() | gaps,
)
logs = st.lists(
    st.builds(
        lambda block, amount: Transfer(
            USDC, solver_at(1), solver_at(2), amount, block.hash, TxHash(block_hash(9)), 0, block.number
        ),
        blocks,
        balances,
    ),
    max_size=2,
).map(tuple)
rows = st.builds(
    lambda block, balance, change, derived, logs: HistoryRow(
        block, balance, change, (), "safe", derived, logs, 1 if logs else None
    ),
    blocks,
    balances,
    st.none() | balances,
    st.booleans(),
    logs,
)


def _fitting(holding: Holding, told: T) -> T:
    """The logs of a record are of its own token; a native balance has none."""
    if holding.token == NATIVE:
        return told._replace(transfers=(), unexplained=None)
    return told._replace(transfers=tuple(log._replace(token=Address(holding.token)) for log in told.transfers))


fillings = st.builds(
    lambda holding, rows, first, joint, void: HistoryFilled(
        1,
        holding,
        first,
        9,
        () if void else tuple(_fitting(holding, row) for row in rows),
        INFO,
        "job",
        joint=joint and _fitting(holding, joint),
        void=void,
    ),
    holdings,
    st.lists(rows, max_size=3),
    numbers,
    st.none()
    | st.builds(
        lambda number, change, logs: Joint(number, change, (TxHash(block_hash(1)),), logs, 2 if logs else None),
        numbers,
        balances,
        logs,
    ),
    st.booleans(),
)
checkpoints = st.none() | st.builds(
    lambda number, safe, final: Checkpoint(head_at(number), Settled(max(safe, final), final)), numbers, numbers, numbers
)
told = st.lists(
    st.tuples(st.lists(updates | reverts | resyncs | fillings, min_size=1, max_size=4), checkpoints), max_size=8
)


def _commits(told: list[tuple[list[Fact], Checkpoint | None]]) -> list[Commit]:
    commits: list[Commit] = []
    for index, (facts, checkpoint) in enumerate(told):
        first = commits[-1].last_seq + 1 if commits else 1
        time = TIME + timedelta(seconds=index)
        commits.append(Commit(f"c{index}", "chain:1", first, time, tuple(facts), checkpoint))
    return commits


def _sim() -> SimStore:
    return SimStore(Disk(Random(0), lambda: NONE))  # noqa: S311 - no fault is drawn from it


async def _read(store: Any) -> dict[str, Any]:
    """Everything that anybody may ask."""
    books, log = store.balances, store.commits
    read: dict[str, Any] = {
        "settled": await books.settled(1),
        "balances_of": await books.balances_of(1),
        "positions": await log.positions(),
        "first": await log.first_seq("chain:1"),
        "last": await log.last_seq("chain:1"),
        "current": await books.current(limit=2),
        "after": await books.current(chain_id=1, after=(1, *HOLDINGS[0]), limit=9),
        "token": await books.current(token=USDC, limit=9),
        "solver": await books.current(solver=solver_at(1), limit=9),
    }
    for number in (0, 3, 4, 7):
        time = datetime.fromtimestamp(head_at(number).timestamp, UTC)
        block = await books.block_at_or_below(1, number)
        # Two branches at one number are no state of a real history; which of them is shown then is nobody's business.
        read[f"block {number}"] = None if block is None else block.number
        heard = await books.block_at_or_below(1, number, heard=True)
        read[f"heard {number}"] = None if heard is None else heard.number
        read[f"above {number}"] = await log.above_block("chain:1", number)
        read[f"since {number}"] = await log.since("chain:1", number, 2)
        for holding in HOLDINGS:
            read[f"{number} {holding}"] = (
                await books.at_block(1, holding, number),
                await books.at_time(1, holding, time),
                await books.next_after(1, holding, number),
                await books.oldest(1, holding, above=number),
                await books.history(1, holding, limit=2, before=number),
                await books.history(1, holding, limit=9, start=time),
                await books.stats(1, holding, end=time),
            )
    for holding in HOLDINGS:
        read[f"one {holding}"] = await books.one(1, holding)
    return read


async def _same_after(store: Store, sim: SimStore, commits: list[Commit], size: int) -> None:
    for commit in commits:
        await store.commits.append(commit)
        await sim.commits.append(commit)
    for start in range(0, len(commits), size):
        projection = commits[start : start + size]
        for _ in range(2):
            await store.books.project(fold(projection))
            await sim.books.project(fold(projection))
    assert await _read(sim) == await _read(store)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=told, size=st.integers(1, 4))
async def test_whatever_is_projected_reads_the_same(
    tmp_path: Path, told: list[tuple[list[Fact], Checkpoint | None]], size: int
) -> None:
    async with open_store("memory", f"s{secrets.token_hex(4)}", tmp_path) as store:
        sim = _sim()
        await _same_after(store, sim, _commits(told), size)
        before = datetime.fromtimestamp(head_at(4).timestamp, UTC)
        assert await sim.balances.forget(before) == await store.balances.forget(before)
        before = TIME + timedelta(seconds=3)
        assert await sim.commits.forget(before, 2) == await store.commits.forget(before, 2)
        assert await _read(sim) == await _read(store)


@pytest.mark.mongo
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=told, size=st.integers(1, 4))
async def test_a_real_server_agrees(
    replica_set_url: str, tmp_path: Path, told: list[tuple[list[Fact], Checkpoint | None]], size: int
) -> None:
    async with open_store(replica_set_url, f"s{secrets.token_hex(4)}", tmp_path) as store:
        try:
            await _same_after(store, _sim(), _commits(told), size)
        finally:
            await store._database.motor.client.drop_database(store._database.motor.name)


async def test_the_small_collections_read_the_same(store: Store) -> None:
    sim = _sim()
    await _write_small(store)
    await _write_small(sim)
    assert await _small(sim) == await _small(store)


async def _write_small(store: Any) -> None:
    block = BlockRef(3, block_hash(3), 7)
    moved = Moved(block, Transfer(USDC, solver_at(1), solver_at(2), 5, block.hash, TxHash(block_hash(9)), 0, 3))
    heads = [head_at(1), head_at(2)]
    for _ in range(2):
        await store.chains.claim(ChainIdentity(1, block_hash(0)))
        await store.tokens.put(1, USDC, INFO)
        await store.watchlist.add_solver(Solver("b", solver_at(1), (1,), source="api"))
        await store.watchlist.add_solver(Solver("a", solver_at(2), None, source="api"))
        await store.watchlist.add_tokens([WatchedToken(1, USDC, INFO)])
        await store.checkpoints.follow("chain:1", heads, Mark(4, {HOLDINGS[0]: None}, Settled(2, 1), Watch()))
        await store.checkpoints.follow("chain:1", heads, Mark(5, {}, Settled(3, 1)))
        await store.checkpoints.set_projected("chain:1", 9)
        await store.checkpoints.set_projected("chain:1", 8)
        rests = {HOLDINGS[0]: 4}
        job = Job("j", 1, 0, None, HOLDINGS, HOLDINGS, anchors={HOLDINGS[0]: Anchor(5, 2, True)}, rests=rests)
        below, above = Stage(block), Stage(block, {HOLDINGS[0]: 3}, frozenset(HOLDINGS[:1]))
        await store.backfills.save(
            replace(job, filled_from=0, grounds=(below, above), stages=(above,), in_place_of="i")
        )
        await store.backfills.put("j", Chunk(3, 5, (moved,), {3: {HOLDINGS[0]: 4}}))
        await store.backfills.put("j", Chunk(1, 2, natives=(Native(block, HOLDINGS[1], 4),), unread=1))
        await store.backfills.put("k", Chunk(1, 2))
        await store.coverage.cover(1, 3, dict.fromkeys(HOLDINGS[:2], 9))
        await store.coverage.cover(1, 5, dict.fromkeys(HOLDINGS[1:], 9))
        for holding, first, end, seq in ((0, 4, 9, 1), (1, 4, 10, 1), (1, 8, 12, 3), (1, 9, 11, 2), (2, 2, 9, 1)):
            await store.coverage.part([(Apart(1, HOLDINGS[holding], end, seq), first)])
        await store.coverage.close(1, 4, dict.fromkeys(HOLDINGS, 9))
        await store.coverage.part([(Apart(1, HOLDINGS[0], 9, 1), 4)])
        await store.coverage.rejoin(Rejoining(1, {HOLDINGS[1]: Rejoined(1, HOLDINGS[1], 7, 7, 4)}))
        await store.coverage.rejoin(Rejoining(1, {HOLDINGS[1]: Rejoined(1, HOLDINGS[1], 6, 6, 3)}))
        await store.coverage.rejoin(Rejoining(1, {None: Rejoined(1, None, 6, 9, 2)}))
    with pytest.raises(WrongChain):
        await store.chains.claim(ChainIdentity(1, block_hash(1)))
    await store.watchlist.remove_solver("b")
    await store.backfills.forget("k")
    await store.commits.append(_commits([([_update()], None)])[0])
    with pytest.raises(Fenced):
        await store.commits.append(Commit("other", "chain:1", 1, TIME, (_update(),)))


def _update() -> BalanceUpdated:
    return BalanceUpdated(1, HOLDINGS[0], None, 1, head_at(1).ref, "first", TokenInfo())


async def _small(store: Any) -> list[Any]:
    return [
        await store.chains.identity(1),
        await store.tokens.get(1),
        await store.watchlist.solvers(),
        await store.watchlist.tokens(),
        await store.checkpoints.load("chain:1"),
        await store.checkpoints.load("chain:2"),
        await store.checkpoints.followed("chain:1"),
        await store.checkpoints.followed("chain:2"),
        await store.checkpoints.projected(),
        await store.backfills.jobs(1),
        await store.backfills.jobs(2),
        await store.backfills.lowest("j"),
        await store.backfills.lowest("k"),
        [chunk async for chunk in store.backfills.chunks("j", newest_first=True)],
        [chunk async for chunk in store.backfills.chunks("j", newest_first=False)],
        await store.coverage.covered(1),
        await store.coverage.filled_up_to(1, HOLDINGS),
        await store.coverage.holes(1),
    ]


def test_what_a_primary_took_while_it_stepped_down_was_not_acknowledged() -> None:
    async def story(seed: int) -> tuple[bool, bool, int]:
        disk = Disk(Random(seed), lambda: NONE)  # noqa: S311 - a story, not a secret
        store = SimStore(disk)
        stepping = asyncio.get_running_loop().create_task(disk.step_down(cut_off_seconds=2, election_seconds=5))
        await asyncio.sleep(1)
        with pytest.raises(StoreUnavailable):
            await asyncio.gather(store.commits.append(_commits([([_update()], None)])[0]), _sees_nothing(store))
        await stepping
        return bool(disk.kept.commits), bool(await store.commits.positions()), disk.rolled_back

    async def _sees_nothing(store: SimStore) -> None:
        """Not even while the old primary has it: no majority does."""
        await asyncio.sleep(0.5)
        assert await store.commits.positions() == {}

    outcomes = {play(story(seed)) for seed in range(8)}
    assert outcomes == {(True, True, 0), (False, False, 1)}


def test_nothing_of_a_killed_process_arrives() -> None:
    async def story() -> bool:
        store = _sim()
        store.die()
        task = asyncio.get_running_loop().create_task(store.tokens.put(1, USDC, INFO))
        await asyncio.wait((task,))
        return task.cancelled()

    assert play(story())
