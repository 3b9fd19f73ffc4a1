from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from indexer.demo.venue import Account, Venue
from tests.venue.client import Clock, amounts, connected, truth


@pytest.fixture
def main(venue: Venue) -> Account:
    account, held = venue.account("deribit"), venue.truth
    held.deposit(account, "futures", "USDC", "10000.5")
    held.deposit(account, "futures", "BTC", "1.0123456789")
    held.hold(account, "futures", "BTC", "0.25")
    held.open_position(account, "BTC/USDC:USDC", "-0.05", "60000")
    return account


async def test_equity_and_what_is_available_are_told_as_they_are(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        told = await exchange.fetch_balance()
    assert amounts(told, "free", "total") == truth(venue, main, "futures", "free", "equity")
    assert Decimal(told["free"]["USDC"]) + Decimal(told["used"]["USDC"]) != Decimal(told["total"]["USDC"])


async def test_eighteen_digits_leave_the_house_as_a_json_number(venue: Venue, main: Account) -> None:
    venue.truth.deposit(main, "futures", "ETH", "123456789.123456789012345678")
    async with connected(venue, main) as exchange:
        await exchange.fetch_balance()
        body = str(exchange.last_http_response)
    assert '"balance":123456789.123456789012345678' in body


async def test_positions_are_told_as_they_are(venue: Venue, main: Account) -> None:
    venue.truth.mark(main, "BTC/USDC:USDC", "59000")
    async with connected(venue, main) as exchange:
        [position] = await exchange.fetch_positions()
    assert (position["symbol"], position["side"]) == ("BTC/USDC:USDC", "short")
    assert Decimal(position["unrealizedPnl"]) == 50


async def test_the_stream_begins_with_the_portfolio_and_follows(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        told = await asyncio.wait_for(exchange.watch_balance(), 20)
        while {"BTC", "ETH", "SOL", "USDC"} - set(told):
            told = await asyncio.wait_for(exchange.watch_balance(), 20)
        watching = asyncio.create_task(exchange.watch_balance())
        await asyncio.sleep(0)
        venue.truth.pay_funding(main, "BTC/USDC:USDC", "-1.5")
        second = await asyncio.wait_for(watching, 20)
    held = venue.oracle(main)["futures"]["USDC"]
    assert Decimal(str(second["USDC"]["total"]["USDC"])) == held.total == 9999


async def test_wrong_keys_signatures_and_clocks_are_refused(venue: Venue, main: Account) -> None:
    wrong: list[dict[str, Any]] = [{"apiKey": "x"}, {"secret": "x"}]
    for config in wrong:
        async with connected(venue, main, **config) as exchange:
            with pytest.raises(ccxt.AuthenticationError, match="13004"):
                await exchange.privateGetGetAccountSummaries()
    venue.shift_clock(120_000)
    async with connected(venue, main) as exchange:
        with pytest.raises(ccxt.AuthenticationError, match="timestamp"):
            await exchange.privateGetGetAccountSummaries()


async def test_credits_run_out_and_come_back(timed: Venue, clock: Clock) -> None:
    async with connected(timed, timed.account("deribit"), clock=clock) as exchange:
        for _ in range(100):
            await exchange.privateGetGetAccountSummaries()
        with pytest.raises(ccxt.DDoSProtection, match="10028"):
            await exchange.privateGetGetAccountSummaries()
        clock.seconds += 0.1
        await exchange.privateGetGetAccountSummaries()
    assert timed.weights.refused["deribit"] == 1
