"""How much may be asked at once: what was saved up where the venue says what is used, a burst elsewhere."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.dialects.told import Exchange
from indexer.clients.exchange.pool import Venues
from indexer.clients.exchange.throttle import Bucket, Limit, patient
from indexer.demo.venue import Venue
from indexer.demo.venue.dialects.binance.limits import SPOT
from indexer.demo.venue.weights import Cost
from tests.exchange.conftest import Connect
from tests.sim.clock import play

LIMIT = Limit(1200, 60)
READ = 4
"""What ccxt counts for one look at an account."""


async def _granted(bucket: Bucket, seconds: float, told: float | None = None) -> int:
    """How many of very many reads go within so many seconds, the venue telling after the first."""
    granted = 0

    async def read() -> None:
        nonlocal granted
        await bucket.take(READ)
        granted += 1
        if told is not None:
            bucket.told(told + granted * READ)

    reads = [asyncio.create_task(read()) for _ in range(1000)]
    await asyncio.sleep(seconds)
    for one in reads:
        one.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    return granted


def test_two_hundred_first_reads_fit_into_a_few_seconds_where_the_venue_tells() -> None:
    assert play(_granted(Bucket(LIMIT), 5, told=0)) >= 200


def test_pages_of_payments_give_way_to_balances_and_have_their_turn_all_the_same() -> None:
    async def story() -> tuple[float, float]:
        bucket, clock = Bucket(Limit(18, 2)), asyncio.get_running_loop().time
        pages = 0

        async def payments() -> None:
            nonlocal pages
            with patient():
                while True:
                    await bucket.take(4)
                    pages += 1

        async def balances() -> float:
            longest = 0.0
            for _ in range(20):
                began = clock()
                await asyncio.gather(*(bucket.take(2) for _ in range(3)))
                longest = max(longest, clock() - began)
                await asyncio.sleep(2)
            return longest

        reading = [asyncio.create_task(payments()) for _ in range(10)]
        longest = await balances()
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        return longest, pages

    longest, pages = play(story())
    assert longest < 3
    assert pages > 20


async def test_binance_is_believed_when_it_says_how_much_is_used(venue: Venue, connect: Connect) -> None:
    """By whomever: a browser at the same address counts as well."""
    account = venue.account("binance")
    heard: list[float | None] = []
    dialect = DIALECTS["binance"]
    connection = connect(account, "spot")
    exchange = await connection._connected(markets=False)
    exchange.answered = lambda url, _status, headers: heard.append(dialect.used(url, headers))
    await connection.read("spot")
    venue.weights.charge("binance", (Cost(SPOT, 100),), ip="127.0.0.1", key="", now=venue.now_ms() / 1000)
    await connection.read("spot")
    first, second = heard
    assert (first, second) == (4, 4 + 20 + 4)


def test_never_more_than_a_share_goes_in_one_window() -> None:
    assert play(_granted(Bucket(LIMIT), 59, told=0)) * READ <= 1200 * 0.8


def test_where_the_venue_tells_nothing_there_is_only_the_burst() -> None:
    assert play(_granted(Bucket(LIMIT), 5)) * READ <= 1200 * 0.8 * 0.2 + 5 * 12.8


def test_what_an_earlier_life_has_used_is_left_alone() -> None:
    granted = play(_granted(Bucket(LIMIT), 50, told=800))
    assert 0 < granted * READ + 800 <= 1200


def test_others_never_take_all_of_it() -> None:
    assert play(_granted(Bucket(LIMIT), 50, told=5000)) > 0


def test_who_asks_without_end_is_not_left_alone_for_long() -> None:
    """After a start that used all there was, the next minutes are paced again."""

    async def longest() -> float:
        bucket, clock = Bucket(LIMIT), asyncio.get_running_loop().time
        moments = [clock()]
        while moments[-1] < moments[0] + 600:
            await bucket.take(READ)
            bucket.told(0)
            moments.append(clock())
        late = [moment for moment in moments if moment > moments[0] + 120]
        return max(after - before for before, after in itertools.pairwise(late))

    assert play(longest()) < 10


SPOT_READ = ("private", "account", 4)
EARN_READ = ("sapi", "simple-earn/flexible/position", 15)
FAMILIES = (SPOT_READ, ("sapi", "margin/account", 1), ("fapiPrivateV3", "account", 1), ("dapiPrivate", "account", 5))

AT_ONCE = 0.001
"""Virtual time moves by a millionth with each turn of the loop."""


async def _ask(exchange: Exchange, question: tuple[str, str, float]) -> None:
    """As ccxt does it before each request."""
    api, path, cost = question
    await exchange.throttle(exchange.calculate_rate_limiter_cost([api], "GET", path, {}, {"cost": cost}))


async def _seconds(exchange: Exchange, question: tuple[str, str, float]) -> float:
    began = asyncio.get_running_loop().time()
    await _ask(exchange, question)
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("spent", FAMILIES, ids=lambda question: question[0])
def test_what_one_api_of_binance_has_used_up_keeps_no_other_waiting(spent: tuple[str, str, float]) -> None:
    async def waited() -> dict[str, float]:
        venues = Venues()
        exchange = venues.exchange(DIALECTS["binance"], {"apiKey": "a", "secret": "b"})
        asking = [asyncio.create_task(_ask(exchange, spent)) for _ in range(1000)]
        await asyncio.sleep(1)
        found = {question[0]: await _seconds(exchange, question) for question in FAMILIES if question != spent}
        for one in asking:
            one.cancel()
        await venues.close()
        return found

    assert max(play(waited()).values()) < AT_ONCE


def test_many_accounts_read_their_savings_at_once_since_each_has_a_budget_of_its_own() -> None:
    async def seconds() -> float:
        venues, dialect = Venues(), DIALECTS["binance"]
        desks = [venues.exchange(dialect, {"apiKey": f"desk {number}"}) for number in range(50)]
        found = await asyncio.gather(*(_seconds(desk, EARN_READ) for desk in desks))
        await venues.close()
        return max(found)

    assert play(seconds()) < AT_ONCE


def test_each_question_of_okx_has_a_budget_of_its_own() -> None:
    """Savings and staking are one wallet: it takes as long as both of them."""

    async def seconds() -> float:
        venues = Venues()
        desk = venues.exchange(DIALECTS["okx"], {"apiKey": "a"})
        questions = {"account/balance": 2, "asset/balances": 5 / 3, "finance/savings/balance": 5 / 3}
        for path, cost in {**questions, "finance/staking-defi/orders-active": 10 / 3}.items():
            await _ask(desk, ("private", path, cost))
        took = asyncio.get_running_loop().time()
        await venues.close()
        return took

    assert play(seconds()) < 0.1


@pytest.mark.parametrize(("status", "spot"), [(429, 0), (418, 30), (200, 0)])
def test_one_api_is_left_alone_for_as_long_as_it_says_and_all_of_them_when_the_address_is_banned(
    status: int, spot: float
) -> None:
    """Whichever account was told."""

    async def waited() -> tuple[float, float]:
        venues, dialect = Venues(), DIALECTS["binance"]
        one, other = (venues.exchange(dialect, {"apiKey": key}) for key in "ab")
        await _ask(one, FAMILIES[2])
        one.answered("https://fapi.binance.com/fapi/v3/account?x=1", status, {"Retry-After": "30"})
        found = await asyncio.gather(_seconds(other, FAMILIES[2]), _seconds(other, SPOT_READ))
        await venues.close()
        return found

    assert play(waited()) == pytest.approx((30 if status != 200 else 0, spot), abs=AT_ONCE)


STREAM_TOKENS = {
    "binance": (
        ("sapi", "userListenToken", 0.1),
        "https://api.binance.com/sapi/v1/margin/account?x=1",
        ("sapi", "margin/account", 1),
    ),
    "kraken": (
        ("private", "GetWebSocketsToken", 3),
        "https://api.kraken.com/0/private/BalanceEx",
        ("private", "BalanceEx", 3),
    ),
    "okx": (
        ("private", "account/balance", 2),
        "https://www.okx.com/api/v5/asset/balances?x=1",
        ("private", "asset/balances", 2),
    ),
}
"""What is asked to open a stream, or else to read; who answered, and another question there."""


@pytest.mark.parametrize("exchange", STREAM_TOKENS)
def test_where_no_budget_is_the_addresss_a_pause_is_kept_by_all_of_it_as_well(exchange: str) -> None:
    async def waited() -> list[float]:
        venues, dialect = Venues(), DIALECTS[exchange]
        one, other = (venues.exchange(dialect, {"apiKey": key}) for key in "ab")
        question, url, another = STREAM_TOKENS[exchange]
        await _ask(one, question)
        one.answered(url, 429, {"Retry-After": "30"})
        later = venues.exchange(dialect, {"apiKey": "c"})
        found = await asyncio.gather(
            *(_seconds(each, what) for each in (one, other, later) for what in {question, another})
        )
        await venues.close()
        return found

    assert min(play(waited())) >= 30 - AT_ONCE
