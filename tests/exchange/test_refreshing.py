"""Who waits for a read of an account that is removed, changed or stopped meanwhile has an answer at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.app import lives
from indexer.app.library import Indexer
from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.throttle import Bucket
from indexer.config import RulesSettings
from indexer.demo.venue import Account, Venue
from indexer.domain.accounts.amounts import AccountKey, Wallet
from indexer.domain.accounts.arrivals import Snapshot
from indexer.domain.accounts.registry import Account as Followed
from indexer.errors import GivenUp, IndexerError, NotFound, WalletUnsupported
from tests.exchange.service import settings

KEY = AccountKey("binance", "added")
AT_ONCE = 5.0


@pytest.fixture
async def indexer(venue: Venue, tmp_path: Path) -> AsyncIterator[Indexer]:
    main: Account = venue.account("binance")
    venue.truth.deposit(main, "spot", "USDT", "1")
    async with Indexer(settings(venue, main, tmp_path), serve=False) as running:
        account = Followed(KEY, ("spot",), base_url=venue.url("binance"))
        await running.accounts.add(account, main.credentials)
        await asyncio.wait_for(running.ready(), 20)
        yield running


async def waiting(indexer: Indexer, monkeypatch: pytest.MonkeyPatch) -> asyncio.Task[None]:
    """Somebody who asked for a read that the venue does not answer."""
    asked = asyncio.Event()

    async def never(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(ExchangeAccount, "read", never)
    task = asyncio.create_task(indexer.accounts.refresh(KEY))
    await asyncio.wait_for(asked.wait(), 10)
    return task


async def told(task: asyncio.Task[None]) -> IndexerError:
    with pytest.raises(IndexerError) as caught:
        await asyncio.wait_for(task, AT_ONCE)
    return caught.value


async def test_an_account_that_is_removed_is_not_found(indexer: Indexer, monkeypatch: pytest.MonkeyPatch) -> None:
    task = await waiting(indexer, monkeypatch)
    await indexer.accounts.remove(KEY)
    assert isinstance(await told(task), NotFound)


async def test_an_account_that_is_changed_is_to_be_asked_again(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        task = await waiting(indexer, patch)
        await indexer.accounts.change(KEY, poll_seconds=7.0)
        error = await told(task)
    assert isinstance(error, GivenUp)
    assert "try again" in str(error)
    await asyncio.wait_for(indexer.accounts.refresh(KEY), 20)


async def test_a_service_that_stops_keeps_nobody_waiting(indexer: Indexer, monkeypatch: pytest.MonkeyPatch) -> None:
    task = await waiting(indexer, monkeypatch)
    indexer.accounts.end_waiting()
    assert isinstance(await told(task), GivenUp)


async def test_who_waits_for_a_turn_at_the_venue_is_told_so_soon(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Bucket, "take", never)
    monkeypatch.setattr(lives, "TURN_SECONDS", 0.5)
    error = await told(asyncio.create_task(indexer.accounts.refresh(KEY)))
    assert isinstance(error, GivenUp)
    assert "its turn at binance" in str(error)
    assert error.retry_after_seconds is not None


async def test_an_account_that_is_to_name_no_wallets_any_more_has_all_of_them(indexer: Indexer) -> None:
    await indexer.accounts.change(KEY, wallets=())
    assert {"spot", "funding", "futures"} < set(indexer.accounts.account(KEY).wallets)


async def test_metrics_know_no_account_that_was_removed(indexer: Indexer) -> None:
    def lines() -> list[str]:
        return [line for line in indexer._metrics.render()[0].decode().splitlines() if str(KEY) in line]

    assert lines() == [f'indexer_inbox_depth{{actor="account {KEY}"}} 0.0']
    await indexer.accounts.remove(KEY)
    assert lines() == []


@pytest.mark.parametrize("max_age_seconds", [0, 5])
async def test_of_all_wallets_one_that_the_key_may_not_read_is_no_reason_to_fail(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch, max_age_seconds: float
) -> None:
    read = ExchangeAccount.read

    async def half(self: ExchangeAccount, wallet: Wallet, *others: Any) -> Snapshot:
        if wallet == "futures":
            raise WalletUnsupported("the key may not read futures")
        return await read(self, wallet, *others)

    monkeypatch.setattr(ExchangeAccount, "read", half)
    await indexer.accounts.change(KEY, wallets=("spot", "futures"))
    await asyncio.wait_for(indexer.ready(), 20)
    await indexer.accounts.refresh(KEY, max_age_seconds=max_age_seconds)
    with pytest.raises(WalletUnsupported):
        await indexer.accounts.refresh(KEY, ("futures",), max_age_seconds)


async def test_what_is_added_before_the_others_are_followed_is_judged_by_the_rules_of_the_file(
    venue: Venue, tmp_path: Path
) -> None:
    main = venue.account("binance")
    known = replace(settings(venue, main, tmp_path), rules=RulesSettings(stale_seconds=77))
    async with Indexer(known, serve=False) as running:
        early = running.accounts
        early._rules = RulesSettings()
        await early.load(known)
        await early.add(Followed(KEY, ("spot",), base_url=venue.url("binance")), main.credentials)
        assert early._followed.one(KEY).rules.stale_seconds == 77
