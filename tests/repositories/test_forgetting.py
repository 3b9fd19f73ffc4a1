"""History may end somewhere: what is older is forgotten, what still holds is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from indexer.domain.chain import Holding
from indexer.domain.records import fold
from repositories.store import Store
from tests.repositories.samples import TIME, USDC, commit_at, head_at, solver_at

WALLET = Holding(USDC, solver_at(0))


def _time_of(number: int) -> datetime:
    return datetime.fromtimestamp(head_at(number).timestamp, UTC)


async def test_the_newest_record_before_the_end_of_history_stays(store: Store) -> None:
    await store.balances.project(fold([commit_at(number, seq=number) for number in range(1, 10)]))
    assert await store.balances.forget(_time_of(6)) == 4
    kept = await store.balances.history(1, WALLET, limit=99)
    assert [row.block.number for row in kept] == [9, 8, 7, 6, 5]
    assert await store.balances.at_time(1, WALLET, _time_of(6) - timedelta(seconds=1)) == kept[-1]


async def test_a_balance_that_never_changed_again_is_never_forgotten(store: Store) -> None:
    await store.balances.project(fold([commit_at(1, seq=1)]))
    assert await store.balances.forget(_time_of(1_000)) == 0
    assert len(await store.balances.history(1, WALLET, limit=9)) == 1


async def test_old_commits_go_but_never_the_newest_numbers(store: Store) -> None:
    for seq in range(1, 8):
        await store.commits.append(commit_at(seq, seq=seq))
    assert await store.commits.forget(TIME, keep=3) == 0
    assert await store.commits.forget(TIME + timedelta(days=1), keep=3) == 4
    assert await store.commits.first_seq("chain:1") == 5
    assert await store.commits.last_seq("chain:1") == 7
