"""What 50 accounts ask of a venue together never passes what it allows, counted as the venue counts.

`LIMIT_MINUTES` simulated minutes of accounts that ask as fast as they are let; 10,000 for the whole figure.
"""

from __future__ import annotations

import asyncio
import os
from typing import NamedTuple

import pytest

from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pool import Venues
from indexer.demo.venue import Venue
from indexer.demo.venue.dialects.binance.limits import FUTURES, SAPI_IP, SPOT
from indexer.demo.venue.weights import Budget, Cost, Weights
from tests.exchange.conftest import Connect
from tests.sim.clock import play

MINUTES = float(os.environ.get("LIMIT_MINUTES", "3"))
ACCOUNTS = 50


class Question(NamedTuple):
    """What ccxt counts for it, and what the venue does."""

    cost: float
    booked: tuple[Cost, ...]


def _per_key(name: str, limit: float, seconds: float) -> tuple[Cost, ...]:
    return (Cost(Budget(name, limit, seconds, per="key"), 1),)


QUESTIONS = {
    "binance": (
        Question(4, (Cost(SPOT, 20),)),
        Question(5, (Cost(FUTURES, 5),)),
        Question(1, (Cost(SAPI_IP, 10),)),
    ),
    "okx": (
        Question(2, _per_key("balance", 10, 2)),
        Question(5 / 3, _per_key("balances", 6, 1)),
        Question(10 / 3, _per_key("orders", 3, 1)),
    ),
    "bybit": (
        Question(1, (Cost(Budget("ip", 600, 5), 1), *_per_key("wallet", 50, 1))),
        Question(5, (Cost(Budget("ip", 600, 5), 1), *_per_key("earn", 10, 1))),
        Question(25, (Cost(Budget("ip", 600, 5), 1), *_per_key("coins", 5, 1))),
    ),
    "kraken": (Question(3, (Cost(Budget("counter", 15, per="key", refill=0.33), 1),)),),
    "deribit": (Question(1, (Cost(Budget("credits", 50_000, per="key", refill=10_000), 500),)),),
    "hyperliquid": (
        Question(2, (Cost(Budget("weight", 1200, 60), 2),)),
        Question(10, (Cost(Budget("weight", 1200, 60), 20),)),
    ),
}


@pytest.mark.parametrize("exchange", list(DIALECTS))
def test_fifty_accounts_never_ask_more_than_the_venue_allows(exchange: str) -> None:
    weights = Weights()
    asked = play(_ask(exchange, weights))
    assert weights.refused[exchange] == 0
    assert asked > MINUTES * ACCOUNTS / 4


async def _ask(exchange: str, weights: Weights) -> int:
    venues, dialect, loop = Venues(), DIALECTS[exchange], asyncio.get_running_loop()
    asked = 0

    async def one(number: int) -> None:
        nonlocal asked
        name = "walletAddress" if dialect.credentials == ("walletAddress",) else "apiKey"
        throttler = venues.exchange(dialect, {name: str(number)}).throttler
        questions = QUESTIONS[exchange]
        while True:
            question = questions[asked % len(questions)]
            await throttler(question.cost)
            weights.charge(exchange, question.booked, ip="here", key=str(number), now=loop.time())
            asked += 1

    try:
        async with asyncio.timeout(MINUTES * 60), asyncio.TaskGroup() as group:
            for number in range(ACCOUNTS):
                group.create_task(one(number))
    except TimeoutError:
        pass
    finally:
        await venues.close()
    return asked


async def test_real_requests_cost_what_they_are_counted_for(venue: Venue, connect: Connect) -> None:
    accounts = [connect(venue.account(exchange, f"desk {number}")) for exchange in DIALECTS for number in range(3)]
    for account in accounts:
        for wallet in account.wallets:
            await account.read(wallet)
    assert not venue.weights.refused
    for exchange in DIALECTS:
        assert all(most <= limit for most, limit in venue.weights.most(exchange).values())
