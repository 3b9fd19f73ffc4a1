"""Real ccxt, pointed at the venue."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import ccxt.pro

from indexer.demo.venue import Account, Venue

_HOST = re.compile(r"^(https?|wss?)://[^/]+")

QUIET = {
    # ccxt compares strings with numbers there, in a task of its own, when numbers are kept as strings.
    "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
}


def redirected(urls: Any, base: str) -> Any:
    """The same addresses with another scheme and host."""
    if isinstance(urls, dict):
        return {name: redirected(each, base) for name, each in urls.items()}
    if not isinstance(urls, str):
        return urls
    return _HOST.sub(base.replace("http", "ws", 1) if urls.startswith("ws") else base, urls)


class Clock:
    """A time of one's own, which begins with a minute."""

    def __init__(self) -> None:
        self.seconds = 1_795_240_020.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def connected(venue: Venue, account: Account, *, clock: Clock | None = None, **config: Any) -> AsyncIterator[Any]:
    """A ccxt client of the account that keeps every number as a string."""
    options = {**QUIET, **config.pop("options", {})}
    made = getattr(ccxt.pro, account.exchange)
    exchange = made({**account.credentials, "number": str, "enableRateLimit": False, "options": options, **config})
    if clock is not None:
        exchange.milliseconds = lambda: int(clock() * 1000)
    exchange.urls["api"] = redirected(exchange.urls["api"], venue.url(account.exchange))
    try:
        yield exchange
    finally:
        await exchange.close()


def amounts(balance: dict[str, Any], *fields: str) -> dict[str, tuple[Decimal | None, ...]]:
    """What a balance structure says of each asset that is not plain zero."""
    told = fields or ("free", "used", "total")
    found = {
        asset: tuple(None if balance[field].get(asset) is None else Decimal(balance[field][asset]) for field in told)
        for asset in balance["total"]
    }
    return {asset: each for asset, each in found.items() if any(each)}


def truth(venue: Venue, account: Account, wallet: str, *fields: str) -> dict[str, tuple[Decimal, ...]]:
    """The same of the venue's own truth."""
    told = fields or ("free", "used", "total")
    held = venue.oracle(account).get(wallet, {})
    found = {asset: tuple(getattr(each, field) for field in told) for asset, each in held.items()}
    return {asset: each for asset, each in found.items() if any(each)}


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for it, bounded."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not come"
        await asyncio.sleep(0.005)
