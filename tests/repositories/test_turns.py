"""Long answers of the store: whoever reads many rows lets everybody else have a turn in between."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from indexer.domain.accounts.stats import AssetTally
from indexer.domain.chain import NATIVE, Holding
from indexer.domain.measuring.stats import Tally
from indexer.domain.recording.records import fold
from repositories import accounts, commits, queries
from repositories.store import Store
from tests.domain.accounts.builders import ACCOUNT, USDT
from tests.fixtures.turns import Turns
from tests.repositories.samples import TIME, commit_at, solver_at
from tests.repositories.test_accounts import folded, updates

ROWS = 2_500
MOST = 100
"""Rows in a row."""


def row_of(number: int) -> dict[str, Any]:
    return {
        "chainId": 1,
        "tokenAddress": NATIVE,
        "solverAddress": solver_at(0),
        "blockNumber": number,
        "balance": str(number),
        "timestamp": TIME,
    }


async def test_statistics_over_a_long_history_leave_the_others_their_turns(store: Store, turns: Turns) -> None:
    await store._database["balance_records"].insert_many([row_of(number) for number in range(ROWS)])
    turns.count(Tally, "add")
    stats = await turns.during(store.balances.stats(1, Holding(NATIVE, solver_at(0))))
    assert stats.records.count == turns.done == ROWS
    assert turns.longest <= MOST


async def test_statistics_of_an_account_leave_the_others_their_turns(store: Store, turns: Turns) -> None:
    await store.accounts.project(folded(updates(*(str(number) for number in range(ROWS)))))
    turns.count(AssetTally, "add")
    stats = await turns.during(store.accounts.stats(ACCOUNT, USDT))
    assert stats.records.average == Decimal(ROWS - 1) / 2
    assert turns.done == ROWS
    assert turns.longest <= MOST


async def test_all_balances_of_a_chain_are_read_in_turns_with_the_others(store: Store, turns: Turns) -> None:
    await store.balances.project(fold([commit_at(5, seq=1, count=ROWS)]))
    turns.count(queries, "record_of")
    assert len(await turns.during(store.balances.balances_of(1))) == turns.done == ROWS
    assert turns.longest <= MOST


async def test_a_page_of_balances_is_read_in_turns_with_the_others(store: Store, turns: Turns) -> None:
    await store.balances.project(fold([commit_at(5, seq=1, count=ROWS)]))
    turns.count(queries, "record_of")
    assert len(await turns.during(store.balances.current(limit=1_000))) == turns.done == 1_000
    assert turns.longest <= MOST


async def test_a_page_of_an_account_s_history_is_read_in_turns_with_the_others(store: Store, turns: Turns) -> None:
    await store.accounts.project(folded(updates(*(str(number) for number in range(ROWS)))))
    turns.count(accounts, "account_record_of")
    assert len(await turns.during(store.accounts.history(ACCOUNT, USDT, limit=1_000))) == turns.done == 1_000
    assert turns.longest <= MOST


async def test_commits_are_read_in_turns_with_the_others(store: Store, turns: Turns) -> None:
    for number in range(8):
        await store.commits.append(commit_at(number, seq=1 + 60 * number, count=60))
    turns.count(commits, "commit_of", lambda commit: len(commit.facts))
    assert len(await turns.during(store.commits.since("chain:1", 0, 100))) == 8
    assert turns.done == 480
    assert turns.longest <= MOST + 60
