"""Accounts at a venue's test site, which has less than the venue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.app.library import Indexer
from indexer.demo.venue import Account, Venue
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.registry import Account as Followed
from indexer.errors import Impossible
from tests.exchange.service import KEY, settings, until


async def test_binances_has_no_word_on_keys_and_they_are_tried_by_reading_the_balance(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    account = Followed(KEY, (), base_url=venue.url("binance"), sandbox=True)
    async with Indexer(settings(venue, main, tmp_path, in_file=False), serve=False) as indexer:
        with pytest.raises(Impossible, match="refuses these credentials") as caught:
            await indexer.accounts.add(account, {**main.credentials, "secret": "not the secret"})
        assert caught.value.field == "credentials"
        assert await indexer.accounts.add(account, main.credentials) == Permissions()
        assert indexer.accounts.account(KEY).wallets == ("spot",)
        await asyncio.wait_for(indexer.ready(), 20)
        await until(lambda: indexer.report.streams()[0].heads == "ws")
        with pytest.raises(Impossible, match="the sandbox of binance has no wallet 'earn'; there are spot"):
            await indexer.accounts.change(KEY, wallets=("spot", "earn"))


async def test_an_account_of_the_file_follows_the_wallets_that_the_sandbox_has(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    known = settings(venue, main, tmp_path)
    desk = replace(known.exchanges["desk"], sandbox=True, wallets=())
    async with Indexer(replace(known, exchanges={"desk": desk}), serve=False) as indexer:
        await asyncio.wait_for(indexer.ready(), 20)
        assert [one.wallets for one in indexer.accounts.all()] == [("spot",)]
