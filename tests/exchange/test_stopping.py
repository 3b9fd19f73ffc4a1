"""A service with many accounts stops at once, also while all of them wait for their turn at the venue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.app.library import Indexer
from indexer.clients.exchange.throttle import Bucket
from indexer.demo.venue import Venue
from indexer.domain.accounts.amounts import AccountKey
from indexer.errors import GivenUp
from indexer.masking import Secret
from tests.exchange.service import settings

ACCOUNTS = 40
STOP_SECONDS = 5.0
"""Of all of them; a quarter of a second each would be twice that."""


async def test_a_service_stops_while_every_account_waits_at_the_limiter(
    venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = [venue.account("binance", f"desk {number}") for number in range(ACCOUNTS)]
    for account in crowd:
        venue.truth.deposit(account, "spot", "USDT", 1)
    base = settings(venue, crowd[0], tmp_path)
    desks = {
        f"desk{number}": replace(
            base.exchanges["desk"],
            name=f"desk{number}",
            api_key=Secret(account.credentials["apiKey"]),
            secret=Secret(account.credentials["secret"]),
        )
        for number, account in enumerate(crowd)
    }
    clock = asyncio.get_running_loop().time
    indexer = Indexer(replace(base, exchanges=desks), serve=False)
    async with indexer:
        await asyncio.wait_for(indexer.ready(), 30)
        waiting: list[float] = []

        async def take(_: Bucket, weight: float) -> None:
            waiting.append(weight)
            await asyncio.Event().wait()

        monkeypatch.setattr(Bucket, "take", take)
        asked = [
            asyncio.create_task(indexer.accounts.refresh(AccountKey("binance", name), ("spot",))) for name in desks
        ]
        async with asyncio.timeout(20):
            while len(waiting) < ACCOUNTS:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.01)
        began = clock()
    assert clock() - began < STOP_SECONDS
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, GivenUp) for one in told)
