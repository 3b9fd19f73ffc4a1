from __future__ import annotations

import asyncio
from decimal import Decimal

import ccxt
import pytest

from indexer.demo.venue import Account, Venue
from tests.venue.client import Clock, amounts, connected, truth


@pytest.fixture
def main(venue: Venue) -> Account:
    account, held = venue.account("hyperliquid"), venue.truth
    held.deposit(account, "spot", "USDC", "10000.5")
    held.deposit(account, "spot", "BTC", "1.0123456789")
    held.deposit(account, "spot", "T0001", "7")
    held.hold(account, "spot", "USDC", "100.25")
    held.transfer(account, "USDC", "5000", "spot", "futures")
    held.open_position(account, "ETH/USDC:USDC", "0.5", "3000")
    return account


@pytest.mark.parametrize(("kind", "wallet"), [("spot", "spot"), ("swap", "futures")])
async def test_every_wallet_is_told_as_it_is(venue: Venue, main: Account, kind: str, wallet: str) -> None:
    async with connected(venue, main) as exchange:
        told = await exchange.fetch_balance({"type": kind})
    assert amounts(told) == truth(venue, main, wallet)
    assert truth(venue, main, wallet)


async def test_positions_and_funding_fees_are_told_as_they_are(venue: Venue, main: Account) -> None:
    venue.truth.pay_funding(main, "ETH/USDC:USDC", "-0.123456")
    venue.truth.mark(main, "ETH/USDC:USDC", "3100.5")
    async with connected(venue, main) as exchange:
        [position] = await exchange.fetch_positions()
        [fee] = await exchange.fetch_funding_history()
    assert (position["symbol"], position["side"]) == ("ETH/USDC:USDC", "long")
    assert Decimal(position["unrealizedPnl"]) == Decimal("50.25")
    assert (fee["symbol"], fee["code"]) == ("ETH/USDC:USDC", "USDC")
    assert Decimal(fee["amount"]) == Decimal("-0.123456")


async def test_the_spot_stream_begins_with_everything_and_follows(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        await asyncio.wait_for(exchange.watch_balance({"type": "spot"}), 20)
        watching = asyncio.create_task(exchange.watch_balance({"type": "spot"}))
        await asyncio.sleep(0)
        venue.truth.trade(main, "spot", {"USDC": "-600", "BTC": "0.01"})
        told = await asyncio.wait_for(watching, 20)
    right = truth(venue, main, "spot")
    # Over REST ccxt calls UBTC by its plain name, here it does not.
    assert amounts(told) == {"UBTC": right.pop("BTC"), **right}


async def test_the_perpetual_stream_tells_balance_and_positions(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        first = await asyncio.wait_for(exchange.watch_balance({"type": "swap"}), 20)
        assert amounts(first, "used", "total") == truth(venue, main, "futures", "used", "total")
        watching = asyncio.create_task(exchange.watch_positions())
        await asyncio.sleep(0)
        venue.truth.open_position(main, "BTC/USDC:USDC", "-0.01", "60000")
        positions = await asyncio.wait_for(watching, 20)
    assert {each["symbol"]: each["side"] for each in positions} == {"ETH/USDC:USDC": "long", "BTC/USDC:USDC": "short"}


async def test_an_unknown_address_is_answered_like_one_that_holds_nothing(venue: Venue, main: Account) -> None:
    async with connected(venue, main, walletAddress="0x" + "ab" * 20) as exchange:
        told = await exchange.fetch_balance({"type": "spot"})
    assert amounts(told) == {}


async def test_an_address_that_is_none_is_refused(venue: Venue, main: Account) -> None:
    async with connected(venue, main, walletAddress="0x12") as exchange:
        with pytest.raises(ccxt.BaseError, match="deserialize"):
            await exchange.publicPostInfo({"type": "clearinghouseState", "user": "0x12"})


async def test_weight_depends_on_the_question(timed: Venue, clock: Clock) -> None:
    question = {"type": "userFunding", "user": timed.account("hyperliquid").api_key}
    async with connected(timed, timed.account("hyperliquid"), clock=clock) as exchange:
        await exchange.fetch_time()
        assert timed.weights.used("hyperliquid")["weight per ip"] == 2
        for _ in range(59):
            await exchange.publicPostInfo(question)
        with pytest.raises(ccxt.BaseError, match="429"):
            await exchange.publicPostInfo(question)
    assert timed.weights.most("hyperliquid")["weight per ip"] == (1182, 1200)
