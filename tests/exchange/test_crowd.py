"""Many accounts of one venue: what one of them needs is never used up by the others."""

from __future__ import annotations

import asyncio

from indexer.demo.venue import Venue
from tests.exchange.conftest import Connect
from tests.exchange.test_listening import until

ACCOUNTS = 60
"""More than the requests that go to one host at once."""


async def test_open_streams_keep_no_account_from_being_read(venue: Venue, connect: Connect) -> None:
    crowd = [venue.account("binance", f"desk {number}") for number in range(ACCOUNTS)]
    for account in crowd:
        venue.truth.deposit(account, "spot", "USDT", 1)
    accounts = [connect(account, "spot") for account in crowd]
    tasks = [asyncio.create_task(account.listen(lambda _arrival: None)) for account in accounts]
    await until(lambda: venue.sockets.count("binance", owned=True) == ACCOUNTS)
    async with asyncio.timeout(5):
        found = await accounts[-1].read("spot")
    assert set(found.amounts) == {"USDT"}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
