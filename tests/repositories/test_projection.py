"""Projecting may be split, conflated and repeated at will: what queries read is always the same."""

from __future__ import annotations

import secrets
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Head, Holding
from indexer.domain.recording.records import fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Fact, Orphaned
from repositories.store import Store, open_store
from tests.repositories.samples import INFO, TIME, USDC, head_at, solver_at

SOLVERS = (0, 1)
Row = tuple[int, str, int]
Step = dict[int, int] | int
"""Balances by solver in a new block, or how many blocks a reorg takes back."""


class Chain:
    """A chain that is followed, and what history must say of it; forks get a letter each."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.rows: dict[Holding, list[Row]] = {Holding(USDC, solver_at(solver)): [] for solver in SOLVERS}
        self.current: dict[Holding, int] = {}
        self._heads: list[Head] = [head_at(1)]
        self._forks = 0

    def play(self, step: Step) -> None:
        facts = self._reorg(step) if isinstance(step, int) else self._block(step)
        if facts:
            first_seq = self.commits[-1].last_seq + 1 if self.commits else 1
            self.commits.append(Commit(f"c{first_seq}", "chain:1", first_seq, TIME, tuple(facts)))

    def _block(self, balances: dict[int, int]) -> list[Fact]:
        head = head_at(self._heads[-1].number + 1, "abcdef"[self._forks % 6])
        self._heads.append(head)
        facts: list[Fact] = []
        for solver, balance in balances.items():
            holding = Holding(USDC, solver_at(solver))
            previous = self.current.get(holding)
            if previous != balance:
                cause = "first" if previous is None else "transfer"
                facts.append(BalanceUpdated(1, holding, previous, balance, head.ref, cause, INFO))  # type: ignore[arg-type] # one of two literals
                self.rows[holding].append((head.number, head.hash, balance))
                self.current[holding] = balance
        return facts

    def _reorg(self, depth: int) -> list[Fact]:
        self._forks += 1
        kept = max(1, len(self._heads) - depth)
        self._heads = self._heads[:kept]
        ancestor = self._heads[-1]
        return [fact for holding in self.rows if (fact := self._reverted(holding, ancestor)) is not None]

    def _reverted(self, holding: Holding, ancestor: Head) -> BalanceReverted | None:
        rows = self.rows[holding]
        gone = [row for row in rows if row[0] > ancestor.number]
        if not gone:
            return None
        left = rows[: len(rows) - len(gone)]
        anchor = not left
        if anchor:  # nothing older is known: the node is asked what held at the ancestor
            left = [(ancestor.number, ancestor.hash, 0)]
        previous, self.current[holding] = self.current[holding], left[-1][2]
        self.rows[holding] = left
        orphaned = tuple(Orphaned(number, block, balance) for number, block, balance in reversed(gone))  # type: ignore[arg-type] # a BlockHash
        return BalanceReverted(1, holding, previous, left[-1][2], ancestor.ref, INFO, orphaned, anchor)


steps = st.lists(
    st.dictionaries(st.sampled_from(SOLVERS), st.integers(0, 3), max_size=2) | st.integers(1, 4), max_size=14
)


async def assert_tells(store: Store, chain: Chain) -> None:
    for holding, rows in chain.rows.items():
        history = await store.balances.history(1, holding, limit=100)
        assert [(row.block.number, row.block.hash, row.balance) for row in history] == rows[::-1]
        current = await store.balances.one(1, holding)
        assert (current and current.balance) == chain.current.get(holding)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, cuts=st.lists(st.integers(0, 14), max_size=4), repeats=st.integers(1, 2))
async def test_any_split_repeated_tells_what_the_chain_says(
    tmp_path: Path, steps: list[Step], cuts: list[int], repeats: int
) -> None:
    chain = Chain()
    for step in steps:
        chain.play(step)
    bounds = sorted({0, *(min(cut, len(chain.commits)) for cut in cuts), len(chain.commits)})
    async with open_store("memory", f"p{secrets.token_hex(4)}", tmp_path) as store:
        for start, end in pairwise(bounds):
            for _ in range(repeats):
                await store.balances.project(fold(chain.commits[start:end]))
        await assert_tells(store, chain)
        # A crash before the position was written: everything once more, from the beginning.
        for start, end in pairwise(bounds):
            await store.balances.project(fold(chain.commits[start:end]))
        await assert_tells(store, chain)


SCRIPT: list[Step] = [{0: 1, 1: 1}, {0: 2}, {1: 5}, 2, {0: 3}, {0: 2, 1: 2}, 1, {0: 9}, 6, {0: 4}, {1: 7}, 2, {0: 1}]


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_reorgs_over_reorgs_leave_no_orphan_on_any_server(store: Store, size: int) -> None:
    chain = Chain()
    for step in SCRIPT:
        chain.play(step)
    for _ in range(2):
        for start in range(0, len(chain.commits), size):
            await store.balances.project(fold(chain.commits[start : start + size]))
        await assert_tells(store, chain)
