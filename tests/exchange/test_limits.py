"""What 50 accounts ask of a venue together never passes what it allows, counted as the venue counts.

`LIMIT_MINUTES` simulated minutes of accounts that ask as fast as they are let; 10,000 for the whole figure.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pool import Venues
from indexer.clients.exchange.throttle import Cost as Asked
from indexer.demo.venue import Venue
from indexer.demo.venue.dialects.binance.limits import COIN_FUTURES, FUTURES, SAPI_IP, SAPI_KEY, SPOT
from indexer.demo.venue.weights import Budget, Cost, Overdrawn, Weights
from tests.exchange.conftest import Connect
from tests.sim.clock import play

MINUTES = float(os.environ.get("LIMIT_MINUTES", "3"))
ACCOUNTS = 50


class Question(NamedTuple):
    """What ccxt counts for it, what the venue does, and where it is asked."""

    cost: float
    booked: tuple[Cost, ...]
    api: str = "private"
    path: str = ""


def _per_key(name: str, limit: float, seconds: float) -> tuple[Cost, ...]:
    return (Cost(Budget(name, limit, seconds, per="key"), 1),)


QUESTIONS = {
    "binance": (
        Question(4, (Cost(SPOT, 20),), "private", "account"),
        Question(1, (Cost(FUTURES, 5),), "fapiPrivateV3", "account"),
        Question(1, (Cost(FUTURES, 5),), "fapiPrivateV3", "positionRisk"),
        Question(30, (Cost(FUTURES, 30),), "fapiPrivate", "income"),
        Question(5, (Cost(COIN_FUTURES, 5),), "dapiPrivate", "account"),
        Question(1, (Cost(SAPI_IP, 10),), "sapi", "margin/account"),
        Question(15, (Cost(SAPI_KEY, 150),), "sapi", "simple-earn/flexible/position"),
    ),
    "okx": (
        Question(2, _per_key("balance", 10, 2), path="account/balance"),
        Question(5 / 3, _per_key("balances", 6, 1), path="asset/balances"),
        Question(5 / 3, _per_key("savings", 6, 1), path="finance/savings/balance"),
        Question(10 / 3, _per_key("orders", 3, 1), path="finance/staking-defi/orders-active"),
        Question(4, _per_key("bills", 5, 2), path="account/bills-archive"),
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


def test_each_api_of_binance_is_used_by_itself() -> None:
    """Otherwise a limiter that is too tight would pass for an honest one."""
    weights = Weights()
    play(_ask("binance", weights))
    most = weights.most("binance")
    assert len(most) == 5
    assert all(used >= limit / 2 for used, limit in most.values())


async def _ask(exchange: str, weights: Weights) -> int:
    venues, dialect, loop = Venues(), DIALECTS[exchange], asyncio.get_running_loop()
    asked = 0

    async def one(number: int) -> None:
        nonlocal asked
        name = "walletAddress" if dialect.credentials == ("walletAddress",) else "apiKey"
        made = venues.exchange(dialect, {name: str(number)})
        questions = _of_one_family(exchange, number)
        while True:
            question = questions[asked % len(questions)]
            config = {"cost": question.cost}
            await made.throttle(made.calculate_rate_limiter_cost([question.api], "GET", question.path, {}, config))
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


def _of_one_family(exchange: str, number: int) -> list[Question]:
    """Who waits for one API asks no other."""
    questions, dialect = QUESTIONS[exchange], DIALECTS[exchange]
    families = [dialect.weighed(Asked(one.cost, one.api, one.path)).family for one in questions]
    own = families[number % len(families)]
    return [question for question, family in zip(questions, families, strict=True) if family == own]


async def test_real_requests_cost_what_they_are_counted_for(venue: Venue, connect: Connect) -> None:
    accounts = [connect(venue.account(exchange, f"desk {number}")) for exchange in DIALECTS for number in range(3)]
    for account in accounts:
        for wallet in account.wallets:
            await account.read(wallet)
    assert not venue.weights.refused
    for exchange in DIALECTS:
        used = venue.weights.most(exchange)
        assert used
        assert all(0 < most <= limit for most, limit in used.values())


async def test_no_request_to_binance_costs_more_than_it_is_counted_for(
    venue: Venue, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each API by itself: whatever is asked of an account, ccxt's own costs being too low for some of it."""
    account, dialect = connect(venue.account("binance")), DIALECTS["binance"]
    exchange = await account._connected(markets=True)
    counted: dict[str, float] = defaultdict(float)
    spent: dict[str, float] = defaultdict(float)
    throttler, charge = exchange.throttler, venue.weights.charge

    def charging(dialect: str, costs: Sequence[Cost], **caller: Any) -> Overdrawn | None:
        for cost in costs:
            spent[cost.budget.name] += cost.weight
        return charge(dialect, costs, **caller)

    async def counting(cost: Any) -> None:
        family, weight = dialect.weighed(cost)
        counted[family] += weight
        await throttler(cost)

    exchange.throttler = counting
    monkeypatch.setattr(venue.weights, "charge", charging)
    for wallet in account.wallets:
        await account.read(wallet)
    await account.positions()
    await account.fundings(None)
    await account.permissions()
    allowed = {SPOT: ("", 5), SAPI_IP: ("sapi", 10), SAPI_KEY: ("sapi uid", 10)}
    for budget, (family, unit) in {**allowed, FUTURES: ("fapi", 1), COIN_FUTURES: ("dapi", 1)}.items():
        assert 0 < spent[budget.name] <= round(counted[family] * unit, 6)
