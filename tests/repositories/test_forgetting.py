"""History may end somewhere: what is older is forgotten, what still holds is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.arrivals import Funding
from indexer.domain.accounts.facts import FundingPaid
from indexer.domain.chain import Holding
from indexer.domain.recording.records import fold
from indexer.domain.telling.commits import Commit
from repositories.store import Store
from tests.domain.accounts.builders import ACCOUNT
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


async def test_the_oldest_record_that_is_left_keeps_what_it_said(store: Store) -> None:
    """It was not the first of all: what it changed is known, though the one before it is gone."""
    await store.balances.project(fold([commit_at(number, seq=number) for number in range(1, 10)]))
    before = await store.balances.history(1, WALLET, limit=99)
    await store.balances.forget(_time_of(6))
    *_, oldest = await store.balances.history(1, WALLET, limit=99)
    assert oldest == next(row for row in before if row.block.number == 5)
    assert (oldest.cause, oldest.change is None) == ("transfer", False)


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


def _paid(number: int, account: AccountKey = ACCOUNT) -> Commit:
    """A funding payment of that hour, in a commit of its own."""
    payment = Funding(f"{account.name}-{number}", "BTC/USDT:USDT", "USDT", Decimal(-1), TIME + timedelta(hours=number))
    stream = f"exchange:{account.exchange}:{account.name}"
    return Commit(f"{stream}/{number}", stream, number, payment.time, (FundingPaid(account, payment),))


async def test_old_funding_payments_go_of_every_account(store: Store) -> None:
    other = AccountKey("okx", "hedge")
    commits = [_paid(number, account) for account in (ACCOUNT, other) for number in range(1, 8)]
    await store.books.project(fold(commits))
    assert await store.books.forget(TIME + timedelta(hours=4)) == 6
    for account in (ACCOUNT, other):
        kept = await store.accounts.fundings(account, limit=99)
        assert [one.id for one in kept] == [f"{account.name}-{number}" for number in (7, 6, 5, 4)]


async def test_payments_that_tell_which_ones_are_new_stay_however_old(store: Store) -> None:
    await store.books.project(fold([_paid(number) for number in range(1, 8)]))
    known = (await store.accounts.of_account(ACCOUNT)).funded
    assert await store.books.forget(TIME + timedelta(days=99)) == 5
    assert (await store.accounts.of_account(ACCOUNT)).funded == known
