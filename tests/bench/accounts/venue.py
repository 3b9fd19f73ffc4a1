"""The demo venue in a process of its own, so that neither its work nor its memory counts as ours."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Any, Final

from indexer.demo.venue import Account, Venue

EXCHANGE: Final = "binance"
ASSET: Final = "USDT"
ASSETS: Final = ("BTC", "ETH", "SOL", "BNB", ASSET)
"""What every account holds."""

FIRST: Final = 1000
"""Of each at first; every frame says one more."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the venue counted."""

    most_weight: float
    """The most of any budget of a minute that anybody used, in percent."""
    refused: int
    sockets: int


class VenueProcess:
    """Orders go through a pipe, one at a time."""

    def __init__(self, pipe: Connection, url: str, accounts: list[Account]) -> None:
        self._pipe = pipe
        self.url = url
        self.accounts = accounts

    async def change(self, number: int) -> float:
        """One frame for this account; when it was handed to its socket."""
        return float(await self._told("change", number))

    async def torrent(self, number: int, rate: int, seconds: float) -> int:
        """So many frames a second for this account; how many there were."""
        return int(await self._told("torrent", number, rate, seconds))

    async def books(self) -> Books:
        return Books(*await self._told("books"))

    async def _told(self, *order: object) -> Any:
        self._pipe.send(order)
        return await asyncio.to_thread(self._pipe.recv)


@contextlib.asynccontextmanager
async def venue_process(accounts: int, *, markets: int = 30) -> AsyncIterator[VenueProcess]:
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_main, args=(theirs, accounts, markets))
    process.start()
    theirs.close()
    try:
        url, opened = await asyncio.to_thread(ours.recv)
        yield VenueProcess(ours, url, opened)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


def _main(pipe: Connection, accounts: int, markets: int) -> None:
    import uvloop  # noqa: PLC0415 - in the process that uses it

    uvloop.run(_serve(pipe, accounts, markets))


async def _serve(pipe: Connection, accounts: int, markets: int) -> None:
    async with Venue(EXCHANGE, markets=markets) as venue:
        opened = [venue.account(EXCHANGE, f"desk-{number}") for number in range(accounts)]
        for account in opened:
            for wallet in ("spot", "futures"):
                for asset in ASSETS:
                    venue.truth.deposit(account, wallet, asset, FIRST)
        pipe.send((venue.url(EXCHANGE), opened))
        while True:
            match await asyncio.to_thread(pipe.recv):
                case ("change", number):
                    pipe.send(_change(venue, opened[number]))
                case ("torrent", number, rate, seconds):
                    pipe.send(await _torrent(venue, opened[number], rate, seconds))
                case _:
                    budgets = venue.weights.most(EXCHANGE).values()
                    most = max((used / limit * 100 for used, limit in budgets), default=0.0)
                    pipe.send((most, venue.weights.refused[EXCHANGE], venue.sockets.count(owned=True)))


def _change(venue: Venue, account: Account) -> float:
    """One more than before: exactly one frame, and no two alike."""
    before = venue.truth.state(account).holdings("spot")[ASSET].free
    told = time.monotonic()
    venue.truth.set(account, "spot", ASSET, free=before + Decimal(1))
    return told


async def _torrent(venue: Venue, account: Account, rate: int, seconds: float) -> int:
    """Evenly, every 5 ms what is due by then."""
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while sent < passed * rate:
            _change(venue, account)
            sent += 1
        await asyncio.sleep(0.005)
    return sent
