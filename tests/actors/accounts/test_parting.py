"""The last word on an account that is followed no longer, from one life to the next."""

from __future__ import annotations

import pytest

from actors.accounts.ledger import AccountLedger, Prepare
from actors.accounts.parting import tell_parting
from actors.finishing import Finisher
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.facts import AccountAlert, AccountLive, AccountStale
from indexer.domain.accounts.records import AccountBook
from indexer.domain.telling.commits import Commit
from tests.actors.accounts.fakes import ACCOUNT, FakeBooks, FakeFollowings, FakeVenue, Stage
from tests.actors.fakes import FakeLog
from tests.sim.clock import in_virtual_time

REASON = "its credentials cannot be unsealed"


def ledger_of(
    log: FakeLog,
    told: list[Commit],
    books: FakeBooks | None = None,
    prepare: Prepare = lambda _commit, _said: None,
) -> AccountLedger:
    books = books or FakeBooks(log)
    return AccountLedger(
        account=ACCOUNT,
        commits=log,
        checkpoints=books,
        books=books,
        followings=FakeFollowings(),
        finisher=Finisher(log=log, publish=told.append),
        publish=told.append,
        prepare=prepare,
    )


async def test_it_is_told_as_stale_and_as_an_alert() -> None:
    log, told = FakeLog(), list[Commit]()
    await tell_parting(ledger_of(log, told), REASON)
    (commit,) = told
    assert commit.facts == (
        AccountAlert(ACCOUNT, "not_followed", "error", REASON),
        AccountStale(ACCOUNT, REASON),
    )


async def test_it_is_told_once_however_often_the_service_starts() -> None:
    log, told = FakeLog(), list[Commit]()
    for _ in range(3):
        await tell_parting(ledger_of(log, told), REASON)
    assert len(told) == 1


@in_virtual_time
async def test_whoever_follows_it_again_tells_that_it_is_over() -> None:
    log, told = FakeLog(), list[Commit]()
    await tell_parting(ledger_of(log, told), REASON)
    async with Stage(FakeVenue(BTC="1"), log) as stage:
        assert stage.alerts == [("not_followed", False), ("not_followed", True)]
        states = [type(fact) for fact in stage.facts if isinstance(fact, AccountStale | AccountLive)]
        assert states == [AccountStale, AccountLive]


async def test_it_is_told_even_where_what_is_stored_of_it_is_why_it_cannot_be_followed() -> None:
    class Torn(FakeBooks):
        async def of_account(self, account: AccountKey) -> AccountBook:
            raise ValueError(f"{account} is torn")

    log, told = FakeLog(), list[Commit]()
    await tell_parting(ledger_of(log, told), "before")
    with pytest.raises(ValueError, match="torn"):
        await ledger_of(log, told, Torn(log)).load()
    await tell_parting(ledger_of(log, told, Torn(log)), REASON)
    assert [(commit.first_seq, len(commit.facts)) for commit in told] == [(1, 2), (3, 2)]
