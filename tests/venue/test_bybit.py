from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from indexer.demo.venue import Account, Venue
from tests.venue.client import Clock, amounts, connected, truth, until


@pytest.fixture
def main(venue: Venue) -> Account:
    """An account with something in every wallet."""
    account, held = venue.account("bybit"), venue.truth
    held.deposit(account, "funding", "USDT", "10000.5")
    held.hold(account, "funding", "USDT", "2.5")
    held.transfer(account, "USDT", "5000.000000000000000001", "funding", "unified")
    held.transfer(account, "USDT", "1000", "funding", "earn")
    held.hold(account, "earn", "USDT", "300")
    held.hold(account, "unified", "USDT", "100.25")
    held.borrow(account, "unified", "BTC", "0.1")
    held.open_position(account, "BTC/USDT:USDT", "0.05", "60000")
    return account


@pytest.mark.parametrize(
    ("kind", "wallet", "fields"),
    [("unified", "unified", ("free", "used", "total", "debt")), ("funding", "funding", ("free", "used", "total"))],
)
async def test_every_wallet_is_told_as_it_is(
    venue: Venue, main: Account, kind: str, wallet: str, fields: tuple[str, ...]
) -> None:
    async with connected(venue, main) as exchange:
        told = await exchange.fetch_balance({"type": kind})
    assert amounts(told, *fields) == truth(venue, main, wallet, *fields)
    assert truth(venue, main, wallet)


async def test_earn_is_told_by_category(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        flexible = await exchange.privateGetV5EarnPosition({"category": "FlexibleSaving"})
        staked = await exchange.privateGetV5EarnPosition({"category": "OnChain"})
    assert [(row["coin"], row["amount"]) for row in flexible["result"]["list"]] == [("USDT", "700")]
    assert [(row["coin"], row["amount"]) for row in staked["result"]["list"]] == [("USDT", "300")]


async def test_positions_and_funding_fees_are_told_page_by_page(venue: Venue, main: Account) -> None:
    for cent in range(1, 60):
        venue.truth.pay_funding(main, "BTC/USDT:USDT", Decimal(-cent) / 100)
    async with connected(venue, main) as exchange:
        [position] = await exchange.fetch_positions(params={"type": "swap"})
        fees = await exchange.fetch_funding_history(params={"type": "swap"})
        rest = await exchange.privateGetV5ExecutionList({"category": "linear", "execType": "Funding", "cursor": "50"})
    assert (position["symbol"], position["side"], Decimal(position["contracts"])) == (
        "BTC/USDT:USDT",
        "long",
        Decimal("0.05"),
    )
    assert (len(fees), len(rest["result"]["list"]), rest["result"]["nextPageCursor"]) == (50, 9, "")
    # Paid is positive at Bybit, and ccxt leaves it so.
    assert {Decimal(fee["amount"]) for fee in fees} == {Decimal(cent) / 100 for cent in range(10, 60)}


async def test_the_stream_tells_wallet_balance_and_equity_of_what_changed(venue: Venue, main: Account) -> None:
    venue.truth.mark(main, "BTC/USDT:USDT", "60100")
    async with connected(venue, main) as exchange:
        watching = asyncio.create_task(exchange.watch_balance())
        await until(lambda: venue.sockets.count("bybit") == 1)
        await until(lambda: "balances:unified" in next(iter(exchange.clients.values())).subscriptions)
        while not watching.done():
            venue.truth.trade(main, "unified", {"USDT": "-1"})
            await asyncio.wait({watching}, timeout=0.1)
        told = await watching
    [coin] = told["info"][0]["coin"]
    held = venue.oracle(main)["unified"]["USDT"]
    assert coin["coin"] == "USDT"
    assert Decimal(coin["equity"]) - Decimal(coin["walletBalance"]) == 5
    assert Decimal(coin["walletBalance"]) == held.total
    assert Decimal(told["total"]["USDT"]) == held.equity


async def test_the_position_stream_follows_a_close(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        watching = asyncio.create_task(exchange.watch_positions())
        await until(lambda: venue.sockets.count("bybit") == 1)
        await until(lambda: "positions" in next(iter(exchange.clients.values())).subscriptions)
        while not watching.done():
            venue.truth.open_position(main, "BTC/USDT:USDT", "0", "60500")
            await asyncio.wait({watching}, timeout=0.1)
        [position] = await watching
    assert position["symbol"] == "BTC/USDT:USDT"
    assert Decimal(position["contracts"]) == 0
    assert venue.oracle(main)["unified"]["USDT"].used == Decimal("100.25")


async def test_wrong_keys_signatures_and_clocks_are_refused(venue: Venue, main: Account) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [({"apiKey": "x"}, "10003"), ({"secret": "x"}, "10004")]
    for config, code in wrong:
        async with connected(venue, main, **config) as exchange:
            with pytest.raises(ccxt.AuthenticationError, match=code):
                await exchange.privateGetV5UserQueryApi()
    venue.shift_clock(60_000)
    async with connected(venue, main) as exchange:
        with pytest.raises(ccxt.InvalidNonce, match="10002"):
            await exchange.privateGetV5UserQueryApi()
    venue.shift_clock(0)
    venue.expire_key(main)
    async with connected(venue, main) as exchange:
        with pytest.raises(ccxt.AuthenticationError, match="33004"):
            await exchange.privateGetV5UserQueryApi()


async def test_a_wrong_signature_is_refused_on_the_socket(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as good, connected(venue, main, secret="x") as exchange:
        await good.load_markets()
        exchange.set_markets_from_exchange(good)
        exchange.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": True}
        with pytest.raises(ccxt.BaseError, match="signature"):
            await asyncio.wait_for(exchange.watch_balance(), 20)


async def test_what_a_key_may_do_is_told(venue: Venue, main: Account) -> None:
    dangerous = venue.account("bybit", "dangerous", permissions=("read", "trade", "withdraw"))
    told = []
    for account in (main, dangerous):
        async with connected(venue, account) as exchange:
            told.append((await exchange.privateGetV5UserQueryApi())["result"])
    assert [each["readOnly"] for each in told] == [1, 0]
    assert [each["permissions"]["Wallet"] for each in told] == [[], ["AccountTransfer", "Withdraw"]]


async def test_weight_is_counted_told_and_enforced(timed: Venue, clock: Clock) -> None:
    async with connected(timed, timed.account("bybit"), clock=clock) as exchange:
        for left in range(9, -1, -1):
            await exchange.privateGetV5UserQueryApi()
            assert exchange.last_response_headers["X-Bapi-Limit"] == "10"
            assert exchange.last_response_headers["X-Bapi-Limit-Status"] == str(left)
        with pytest.raises(ccxt.RateLimitExceeded, match="10006"):
            await exchange.privateGetV5UserQueryApi()
        clock.seconds += 1
        await exchange.privateGetV5UserQueryApi()
    assert timed.weights.most("bybit")["query-api"] == (10, 10)
