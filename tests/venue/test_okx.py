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
    """An account with something in every wallet."""
    account, held = venue.account("okx"), venue.truth
    held.deposit(account, "funding", "USDT", "10000.5")
    held.deposit(account, "funding", "ETH", "1.123456789012345678")
    held.hold(account, "funding", "USDT", "2.5")
    held.transfer(account, "USDT", "5000.000000000000000001", "funding", "unified")
    held.transfer(account, "USDT", "1000", "funding", "earn")
    held.hold(account, "earn", "USDT", "300")
    held.hold(account, "unified", "USDT", "100.25")
    held.open_position(account, "BTC/USDT:USDT", "0.05", "60000")
    return account


@pytest.mark.parametrize(("kind", "wallet"), [("spot", "unified"), ("funding", "funding")])
async def test_every_wallet_is_told_as_it_is(venue: Venue, main: Account, kind: str, wallet: str) -> None:
    async with connected(venue, main) as exchange:
        told = await exchange.fetch_balance({"type": kind})
    assert amounts(told) == truth(venue, main, wallet)
    assert truth(venue, main, wallet)


async def test_earn_is_told_by_savings_and_staking(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        savings = await exchange.privateGetFinanceSavingsBalance()
        staked = await exchange.privateGetFinanceStakingDefiOrdersActive()
    assert [(row["ccy"], Decimal(row["amt"])) for row in savings["data"]] == [("USDT", Decimal(700))]
    assert [row["investData"] for row in staked["data"]] == [[{"ccy": "USDT", "amt": "300"}]]


async def test_positions_and_funding_fees_are_told_as_they_are(venue: Venue, main: Account) -> None:
    venue.truth.pay_funding(main, "BTC/USDT:USDT", "-0.1234567890123")
    async with connected(venue, main) as exchange:
        [position] = await exchange.fetch_positions()
        [fee] = await exchange.fetch_funding_history()
    assert (position["symbol"], position["side"]) == ("BTC/USDT:USDT", "long")
    assert Decimal(position["contracts"]) * Decimal(position["contractSize"]) == Decimal("0.05")
    assert (fee["symbol"], fee["code"], Decimal(fee["amount"])) == (
        "BTC/USDT:USDT",
        "USDT",
        Decimal("-0.1234567890123"),
    )


async def test_equity_has_the_unrealised_profit_and_the_cash_balance_has_not(venue: Venue, main: Account) -> None:
    venue.truth.mark(main, "BTC/USDT:USDT", "60100")
    async with connected(venue, main) as exchange:
        told = await exchange.fetch_balance({"type": "spot"})
    held = venue.oracle(main)["unified"]["USDT"]
    [detail] = told["info"]["data"][0]["details"]
    assert Decimal(told["total"]["USDT"]) == held.equity == held.total + 5
    assert Decimal(detail["cashBal"]) == held.total


async def test_the_stream_begins_with_everything_and_follows_with_what_changed(venue: Venue, main: Account) -> None:
    venue.truth.deposit(main, "unified", "BTC", "0.1")
    async with connected(venue, main) as exchange:
        first = await asyncio.wait_for(exchange.watch_balance(), 20)
        assert amounts(first) == truth(venue, main, "unified")
        watching = asyncio.create_task(exchange.watch_balance())
        await asyncio.sleep(0)
        venue.truth.trade(main, "unified", {"USDT": "-600.000000000000000001", "BTC": "0.01"})
        second = await asyncio.wait_for(watching, 20)
    assert second["info"]["eventType"] == "event_update"
    assert [each["ccy"] for each in second["info"]["data"][0]["details"]] == ["USDT", "BTC"]
    assert amounts(second, "free", "total") == truth(venue, main, "unified", "free", "total")


async def test_the_position_stream_follows_a_trade(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        await asyncio.wait_for(exchange.watch_positions(), 20)
        watching = asyncio.create_task(exchange.watch_positions())
        await asyncio.sleep(0)
        venue.truth.open_position(main, "BTC/USDT:USDT", "-0.02", "60500")
        [position] = await asyncio.wait_for(watching, 20)
    assert (position["side"], Decimal(position["contracts"])) == ("short", Decimal(2))


async def test_wrong_keys_passphrases_signatures_and_clocks_are_refused(venue: Venue, main: Account) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"apiKey": "x"}, "50111"),
        ({"password": "x"}, "50105"),
        ({"secret": "x"}, "50113"),
    ]
    for config, code in cases:
        async with connected(venue, main, **config) as exchange:
            with pytest.raises(ccxt.AuthenticationError, match=code):
                await exchange.privateGetAccountConfig()
    venue.shift_clock(60_000)
    async with connected(venue, main) as exchange:
        with pytest.raises(ccxt.InvalidNonce, match="50102"):
            await exchange.privateGetAccountConfig()


@pytest.mark.parametrize(
    ("config", "code"), [({"apiKey": "x"}, "60005"), ({"password": "x"}, "60024"), ({"secret": "x"}, "60007")]
)
async def test_wrong_keys_passphrases_and_signatures_are_refused_on_the_socket(
    venue: Venue, main: Account, config: dict[str, Any], code: str
) -> None:
    async with connected(venue, main) as good, connected(venue, main, **config) as exchange:
        await good.load_markets()
        exchange.set_markets_from_exchange(good)
        with pytest.raises(ccxt.AuthenticationError, match=code):
            await asyncio.wait_for(exchange.watch_balance(), 20)


async def test_an_expired_key_is_refused_with_a_code_that_ccxt_does_not_know(venue: Venue, main: Account) -> None:
    venue.expire_key(main)
    async with connected(venue, main) as exchange:
        with pytest.raises(ccxt.ExchangeError, match="50119"):
            await exchange.privateGetAccountConfig()


async def test_what_a_key_may_do_is_told(venue: Venue) -> None:
    dangerous = venue.account("okx", "dangerous", permissions=("read", "trade", "withdraw"))
    async with connected(venue, dangerous) as exchange:
        told = await exchange.privateGetAccountConfig()
    assert told["data"][0]["perm"] == "read_only,trade,withdraw"


async def test_each_endpoint_has_its_own_budget_per_key(timed: Venue, clock: Clock) -> None:
    main, other = timed.account("okx"), timed.account("okx", "other")
    async with (
        connected(timed, main, clock=clock) as exchange,
        connected(timed, other, clock=clock) as another,
    ):
        for _ in range(10):
            await exchange.privateGetAccountBalance()
        with pytest.raises(ccxt.RateLimitExceeded, match="50011"):
            await exchange.privateGetAccountBalance()
        await exchange.privateGetAccountPositions()
        await another.privateGetAccountBalance()
        clock.seconds += 2
        await exchange.privateGetAccountBalance()
    assert timed.weights.most("okx")["/account/balance"] == (10, 10)
    assert timed.weights.refused["okx"] == 1
