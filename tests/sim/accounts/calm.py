"""A day at a venue that is honest, and balances that change without a word: what is found, and what is not made up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any, Final, TypeVar

from indexer.demo.venue import Account, Venue
from indexer.demo.venue import Life as Desk
from indexer.demo.venue.faults import NONE
from indexer.domain.accounts.amounts import Slot
from indexer.domain.accounts.facts import AccountAlert, AccountFact
from indexer.domain.accounts.polling import Rhythm
from tests.sim import faults as stores
from tests.sim.accounts import wall
from tests.sim.accounts.life import NAME, Life
from tests.sim.accounts.lines import MARKETS, markets_of
from tests.sim.accounts.oracle import violations
from tests.sim.accounts.run import held_of, wallets_of
from tests.sim.accounts.truth import Truth
from tests.sim.clock import play
from tests.sim.store import Disk

PACES: Final = (3.0, 20.0, 120.0)
"""Seconds between two steps of the desk; it is busy for a while, then less."""

TWO_POLLS: Final = 2 * (Rhythm().slowest + 1.0)
TWO_FAST_POLLS: Final = 2 * (Rhythm().fast * 1.1 + 1.0)
"""Of a wallet of which no stream tells; each with a second for the look at the clock and the answer."""

COIN: Final = "LTC"

T = TypeVar("T")


@dataclass(frozen=True)
class Day:
    """What came of it."""

    steps: int
    alerts: tuple[AccountAlert, ...]
    drifted: int
    refused: int
    violations: tuple[str, ...]
    differing: tuple[Slot, ...]


@dataclass(frozen=True)
class Found:
    """Changes that no frame told: how long each took to be found."""

    seconds: tuple[float, ...]
    missed: tuple[str, ...]


def day(exchange: str, hours: float, seed: int = 1) -> Day:
    return _played(exchange, _calm(exchange, hours * 3600, seed))


def drifts(exchange: str, count: int, seed: int = 1) -> Found:
    return _played(exchange, _drift(exchange, count, seed))


def _played(exchange: str, story: Coroutine[Any, Any, T]) -> T:
    markets_of(exchange)
    return play(story)


async def _calm(exchange: str, seconds: float, seed: int) -> Day:
    clock, dice, steps = asyncio.get_running_loop().time, Random(f"calm {exchange} {seed}"), 0  # noqa: S311 - a story
    async with stage(exchange, seed) as (venue, account, truth, life, disk):
        desk = Desk(venue, account, seed)
        desk.begin()
        await _emptied(venue, account, life)
        pace = PACES[0]
        while clock() < seconds:
            if dice.random() < 0.02:
                pace = dice.choice(PACES)
            await asyncio.sleep(dice.expovariate(1 / pace))
            desk.step()
            steps += 1
        await asyncio.sleep(TWO_POLLS)
        log = disk.kept.commits
        facts = [fact for commit in log for fact in commit.facts if isinstance(fact, AccountFact)]
        return Day(
            steps,
            tuple(fact for fact in facts if isinstance(fact, AccountAlert)),
            life.counts.kept["drifted"],
            sum(count for name, count in life.counts.kept.items() if name.startswith("refused")),
            tuple(violations(log, truth)),
            tuple(truth.differing(held_of(log), parts=True)),
        )


async def _emptied(venue: Venue, account: Account, life: Life) -> None:
    """A coin that goes again at once and is never bought: from then on most lists leave it out."""
    while not life.heard.opened:  # noqa: ASYNC110 - a machine that is slow takes longer to connect, even here
        await asyncio.sleep(10)
    holders = [one for one in sorted(life.heard.opened) if (account.exchange, one) != ("hyperliquid", "futures")]
    for wallet in holders:  # there, it is cash alone
        venue.truth.deposit(account, wallet, COIN, 5)
    await asyncio.sleep(20)
    for wallet in holders:
        venue.truth.withdraw(account, wallet, COIN, 5)


async def _drift(exchange: str, count: int, seed: int) -> Found:
    """One after the other, each at a moment of its own; the desk does nothing meanwhile."""
    clock, dice = asyncio.get_running_loop().time, Random(f"drift {exchange} {seed}")  # noqa: S311 - a story
    seconds, missed = list[float](), list[str]()
    async with stage(exchange, seed) as (venue, account, truth, life, disk):
        Desk(venue, account, seed).begin()
        await asyncio.sleep(dice.uniform(30, 60))
        for _ in range(count):
            await asyncio.sleep(dice.uniform(0, 200))
            wallet = dice.choice([each for each in truth.wallets if truth.state.holdings(each)])
            asset = dice.choice(sorted(truth.state.holdings(wallet)))
            free = truth.state.holdings(wallet)[asset].free
            venue.faults = replace(NONE, drop=1.0)  # no frame tells of it
            venue.truth.set(account, wallet, asset, free=free + Decimal(dice.randrange(1, 10_000)) / 1000)
            venue.faults = NONE
            began = clock()
            while (slot := Slot(wallet, asset)) in set(truth.differing(held_of(disk.kept.commits), parts=True)):
                if clock() - began > (TWO_POLLS if wallet in life.heard.opened else TWO_FAST_POLLS):
                    missed.append(f"{slot} at {began:.0f}")
                    break
                await asyncio.sleep(0.5)
            seconds.append(clock() - began)
    return Found(tuple(seconds), tuple(missed))


@asynccontextmanager
async def stage(exchange: str, seed: int) -> AsyncIterator[tuple[Venue, Account, Truth, Life, Disk]]:
    """One account at an honest venue, from its first second on."""
    random.seed(seed)
    dice = Random(seed)  # noqa: S311 - a story
    with wall.virtual_time():
        async with Venue(exchange, seed=seed, markets=MARKETS, clock=wall.seconds, on_port=False) as venue:
            account = venue.account(exchange, NAME)
            truth = Truth(venue, account, wallets_of(exchange))
            disk = Disk(dice, lambda: stores.NONE)
            life = Life(venue, account, disk, dice)
            await life.start()
            yield venue, account, truth, life, disk
            await life.stop()
            if life.died is not None:
                raise life.died
