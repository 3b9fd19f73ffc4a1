"""The whole service with one account of the venue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from indexer.app.library import Indexer
from indexer.config import ExchangeSettings, ServiceSettings, Settings, StoreSettings
from indexer.demo.venue import Account, Venue
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.registry import Account as Followed
from indexer.masking import Secret

KEY = AccountKey("binance", "desk")


async def until(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not come"
        await asyncio.sleep(0.01)


def settings(venue: Venue, account: Account, folder: Path, *, in_file: bool = True) -> Settings:
    desk = ExchangeSettings(
        name="desk",
        exchange="binance",
        api_key=Secret(account.credentials["apiKey"]),
        secret=Secret(account.credentials["secret"]),
        wallets=("spot", "funding"),
        base_url=venue.url("binance"),
    )
    return Settings(
        service=ServiceSettings(port=0, data_dir=folder),
        store=StoreSettings(url="memory"),
        exchanges={"desk": desk} if in_file else {},
    )


@asynccontextmanager
async def under_another_key(venue: Venue, account: Account, folder: Path) -> AsyncIterator[Indexer]:
    """The second life of a service to which the account was added: its master key is another one than before."""
    durable = replace(settings(venue, account, folder, in_file=False), store=StoreSettings(url="embedded"))
    async with Indexer(durable, serve=False) as indexer:
        await indexer.accounts.add(Followed(KEY, ("spot",), base_url=venue.url("binance")), account.credentials)
        await asyncio.wait_for(indexer.ready(), 20)
    other = replace(durable, service=replace(durable.service, master_key=Secret("another key than before")))
    async with Indexer(other, serve=False) as again:
        yield again
