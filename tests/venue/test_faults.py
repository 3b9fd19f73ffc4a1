"""Each fault does what it says; hyperliquid's dialect serves, as it needs no signature."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import aiohttp
import ccxt
import pytest

from indexer.demo.venue import NONE, Account, Faults, Venue, drawn
from tests.venue.client import Clock, amounts, connected, truth, until


@pytest.fixture
def main(venue: Venue) -> Account:
    account = venue.account("hyperliquid")
    venue.truth.deposit(account, "spot", "USDC", "123456789012345678.125")
    return account


async def asked(venue: Venue, account: Account) -> tuple[int, str, str]:
    """Status, body and Retry-After of one question for the spot state."""
    question = {"type": "spotClearinghouseState", "user": account.api_key}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{venue.url('hyperliquid')}/info", json=question) as answer,
    ):
        return answer.status, await answer.text(), answer.headers.get("Retry-After", "")


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ("empty_answer", 200, "{}"),
        ("empty_body", 200, ""),
        ("not_json", 200, "upstream connect error or disconnect"),
        ("empty_balances", 200, '{"balances":[]}'),
        ("throttled", 429, "Too Many Requests"),
        ("unavailable", 503, '{"code":-1}'),
        ("html", 502, "<html>"),
    ],
)
async def test_an_answer_can_be_spoilt(venue: Venue, main: Account, fault: str, status: int, body: str) -> None:
    venue.once(fault, path="/info")
    told = await asked(venue, main)
    assert (told[0], told[1][: len(body) or None]) == (status, body)
    assert told[2] == ("1" if fault == "throttled" else "")
    assert venue.injected[fault] == 1
    assert "123456789012345678.125" in (await asked(venue, main))[1]


async def test_amounts_can_become_json_numbers_with_all_their_digits(venue: Venue, main: Account) -> None:
    venue.faults = replace(NONE, floats=1.0)
    assert '"total":123456789012345678.125,' in (await asked(venue, main))[1]


async def test_a_snapshot_can_be_older_than_the_stream(timed: Venue, clock: Clock) -> None:
    account = timed.account("hyperliquid")
    timed.truth.deposit(account, "spot", "USDC", "123456789012345678.125")
    timed.faults = replace(NONE, stale=1.0, stale_seconds=2.0)
    clock.seconds += 2.5
    timed.truth.withdraw(account, "spot", "USDC", "123456789012345678")
    assert "123456789012345678.125" in (await asked(timed, account))[1]
    clock.seconds += 2.5
    assert '"total":"0.125"' in (await asked(timed, account))[1]


async def test_an_answer_can_be_slow_or_lost(venue: Venue, main: Account) -> None:
    venue.faults = replace(NONE, slow=1.0, slow_seconds=0.2)
    started = asyncio.get_running_loop().time()
    await asked(venue, main)
    assert asyncio.get_running_loop().time() - started >= 0.2
    venue.faults = replace(NONE, lost_connection=1.0)
    with pytest.raises(aiohttp.ClientError):
        await asked(venue, main)


async def test_ccxt_takes_a_200_without_a_body_for_an_empty_account(venue: Venue) -> None:
    account = venue.account("okx")
    venue.truth.deposit(account, "funding", "BTC", "0.5")
    async with connected(venue, account) as exchange:
        await exchange.load_markets()
        for fault in ("empty_body", "not_json", "empty_balances"):
            venue.once(fault, path="asset/balances")
            assert amounts(await exchange.fetch_balance({"type": "funding"})) == {}
            assert amounts(await exchange.fetch_balance({"type": "funding"})) == truth(venue, account, "funding")


async def test_a_key_can_expire_in_the_middle(venue: Venue) -> None:
    account = venue.account("okx")
    async with connected(venue, account) as exchange:
        await exchange.privateGetAccountConfig()
        venue.once("expired_key", path="account/config")
        for _ in range(2):
            with pytest.raises(ccxt.ExchangeError, match="50119"):
                await exchange.privateGetAccountConfig()
    async with connected(venue, venue.new_key(account)) as exchange:
        await exchange.privateGetAccountConfig()


async def test_a_new_key_opens_the_same_account_and_the_old_one_nothing(venue: Venue) -> None:
    okx = venue.account("okx")
    venue.truth.deposit(okx, "funding", "BTC", 1)
    fresh = venue.new_key(okx, permissions=("read", "trade"))
    assert venue.account("okx") == fresh
    assert venue.oracle(fresh) == venue.oracle(okx)
    async with connected(venue, okx) as exchange:
        with pytest.raises(ccxt.ExchangeError):
            await exchange.privateGetAccountConfig()


@asynccontextmanager
async def listening(
    venue: Venue, account: Account, seconds: float = 5.0
) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, list[Any]]]:
    """A raw socket with the totals that it was told, the snapshot's first."""
    url = venue.url("hyperliquid").replace("http", "ws", 1) + "/ws"
    told: list[Any] = []
    async with aiohttp.ClientSession() as http, http.ws_connect(url, heartbeat=0.1) as ws:

        async def read() -> None:
            async for message in ws:
                data: Any = json.loads(message.data)
                if data["channel"] == "spotState":
                    told.extend(each["total"] for each in data["data"]["spotState"]["balances"])
                else:
                    told.append(data["channel"])

        reading = asyncio.create_task(read())
        await ws.send_json({"method": "subscribe", "subscription": {"type": "spotState", "user": account.api_key}})
        try:
            await until(lambda: "subscriptionResponse" in told, seconds)
            yield ws, told
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def deposits(venue: Venue, account: Account, count: int) -> None:
    for _ in range(count):
        venue.truth.deposit(account, "spot", "USDC", 1)


@pytest.fixture
def poor(venue: Venue) -> Account:
    account = venue.account("hyperliquid", "poor")
    venue.truth.deposit(account, "spot", "USDC", 1)
    return account


async def test_an_honest_socket_tells_everything_once_and_in_order(venue: Venue, poor: Account) -> None:
    async with listening(venue, poor) as (_, told):
        deposits(venue, poor, 3)
        await until(lambda: len(told) == 5)
    assert told == ["subscriptionResponse", "1.0", "2.0", "3.0", "4.0"]


async def test_frames_can_have_numbers_for_strings(venue: Venue, poor: Account) -> None:
    async with listening(venue, poor) as (_, told):
        venue.faults = replace(NONE, floats=1.0)
        deposits(venue, poor, 1)
        await until(lambda: len(told) == 3)
    assert told[1:] == ["1.0", 2.0]


async def test_frames_can_be_dropped(venue: Venue, poor: Account) -> None:
    async with listening(venue, poor) as (ws, told):
        venue.faults = replace(NONE, drop=1.0)
        deposits(venue, poor, 3)
        venue.calm()
        deposits(venue, poor, 1)
        await until(lambda: told[-1] == "5.0")
        await ws.send_json({"method": "ping"})
        await until(lambda: told[-1] == "pong")
    assert told == ["subscriptionResponse", "1.0", "5.0", "pong"]


async def test_frames_can_come_twice(venue: Venue, poor: Account) -> None:
    async with listening(venue, poor) as (_, told):
        venue.faults = replace(NONE, duplicate=1.0)
        deposits(venue, poor, 2)
        await until(lambda: len(told) == 6)
    assert told[2:] == ["2.0", "2.0", "3.0", "3.0"]


async def test_frames_can_change_places_and_the_last_one_is_not_lost(venue: Venue, poor: Account) -> None:
    async with listening(venue, poor) as (_, told):
        venue.faults = replace(NONE, reorder=1.0, late_seconds=0.05)
        deposits(venue, poor, 3)
        await until(lambda: len(told) == 5)
    assert told[2:] == ["3.0", "2.0", "4.0"]


async def test_frames_can_be_late(venue: Venue, poor: Account) -> None:
    async with listening(venue, poor) as (_, told):
        venue.faults = replace(NONE, late=1.0, late_seconds=0.05)
        deposits(venue, poor, 1)
        venue.faults = NONE
        deposits(venue, poor, 1)
        await until(lambda: len(told) == 4)
    assert told[2:] == ["3.0", "2.0"]


async def test_a_delta_can_come_before_the_snapshot(venue: Venue, poor: Account) -> None:
    venue.faults = replace(NONE, early_delta=1.0, late_seconds=0.1)
    async with listening(venue, poor) as (_, told):
        deposits(venue, poor, 1)
        await until(lambda: len(told) == 3)
    assert told == ["subscriptionResponse", "2.0", "1.0"]


@pytest.mark.parametrize("pings", [True, False])
async def test_a_socket_can_fall_silent_with_or_without_pings(venue: Venue, poor: Account, pings: bool) -> None:
    async with listening(venue, poor) as (ws, told):
        await until(lambda: "1.0" in told)
        venue.sockets.mute("hyperliquid", pings=pings)
        deposits(venue, poor, 2)
        # The client's heartbeat ends a socket on which its pings are not answered.
        await (asyncio.sleep(0.3) if pings else until(lambda: ws.closed))
        assert (told[-1], ws.closed) == ("1.0", not pings)
        venue.calm()
        deposits(venue, poor, 1)
        if pings:
            await until(lambda: told[-1] == "4.0")


async def test_new_sockets_can_be_turned_away_or_born_silent(venue: Venue, poor: Account) -> None:
    venue.sockets.refuse("hyperliquid")
    with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
        async with listening(venue, poor):
            pass
    venue.calm()
    venue.sockets.mute(lasting=True)
    with pytest.raises(AssertionError, match="did not come"):
        async with listening(venue, poor, seconds=0.2):
            pass
    venue.calm()
    async with listening(venue, poor) as (_, told):
        await until(lambda: "1.0" in told)


async def test_a_socket_can_be_cut(venue: Venue, poor: Account) -> None:
    async with listening(venue, poor) as (ws, _):
        venue.sockets.cut()
        await until(lambda: ws.closed)
    assert venue.sockets.count() == 0


async def test_a_socket_can_be_half_closed(venue: Venue, poor: Account) -> None:
    async with listening(venue, poor) as (ws, told):
        await until(lambda: "1.0" in told)
        venue.sockets.half_close()
        deposits(venue, poor, 1)
        await until(lambda: ws.closed)
    assert told[-1] == "1.0"


@pytest.mark.parametrize("fault", ["mute", "deaf", "cut", "half_close"])
async def test_a_sockets_fate_can_be_drawn_with_any_frame(venue: Venue, poor: Account, fault: str) -> None:
    async with listening(venue, poor) as (_, told):
        await until(lambda: "1.0" in told)
        venue.faults = replace(NONE, **{fault: 1.0})
        deposits(venue, poor, 1)
        venue.faults = NONE
        deposits(venue, poor, 1)
        await asyncio.sleep(0.05)
    assert told[-1] == "1.0"
    assert venue.injected[fault] == 1


async def test_the_same_seed_has_the_same_faults() -> None:
    faults = drawn(Random(5))  # noqa: S311 - a story to repeat
    stories = []
    for _ in range(2):
        async with Venue("hyperliquid", seed=11, faults=replace(faults, slow=0.0)) as venue:
            account = venue.account("hyperliquid")
            for _ in range(40):
                try:
                    await asked(venue, account)
                except aiohttp.ClientError:
                    continue
            stories.append(dict(venue.injected))
    assert stories[0] == stories[1]
    assert stories[0]


def test_rates_are_drawn_within_bounds() -> None:
    for seed in range(50):
        faults = drawn(Random(seed))  # noqa: S311 - a story to repeat
        assert all(0 <= getattr(faults, name) <= 1 for name in ("stale", "drop", "cut", "html"))
        assert faults.late_seconds == Faults().late_seconds


async def test_an_unknown_fault_is_an_error(venue: Venue) -> None:
    with pytest.raises(ValueError, match="there are"):
        venue.once("hmtl")


async def test_several_venues_live_side_by_side_and_know_nothing_of_each_other() -> None:
    async with Venue("okx", seed=1) as one, Venue("okx", seed=2, markets=9) as other:
        first, second = one.account("okx"), other.account("okx")
        one.truth.deposit(first, "funding", "BTC", 1)
        assert one.url("okx") != other.url("okx")
        assert first.api_key != second.api_key
        assert other.oracle(second) == {}
        async with connected(other, second) as exchange:
            await exchange.load_markets()
            assert len(exchange.markets) == 9
            assert amounts(await exchange.fetch_balance({"type": "funding"})) == {}


async def test_three_thousand_markets_can_be_listed() -> None:
    async with Venue("okx", markets=3000) as venue, connected(venue, venue.account("okx")) as exchange:
        await exchange.load_markets()
        assert len(exchange.markets) == 3000
        assert exchange.markets["T0900/USDC"]["spot"]


async def test_an_unknown_dialect_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"okxx.*binance"):
        Venue("okxx")
