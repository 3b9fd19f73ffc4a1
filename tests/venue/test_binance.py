from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from indexer.demo.venue import Account, Venue
from tests.venue.client import Clock, amounts, connected, truth, until

ODD = "123456789.123456789012345678"


@pytest.fixture
def main(venue: Venue) -> Account:
    """An account with something in every wallet."""
    account, held = venue.account("binance"), venue.truth
    held.deposit(account, "spot", "USDT", "10000.5")
    held.deposit(account, "spot", "BTC", ODD)
    held.hold(account, "spot", "USDT", "100.25")
    for wallet in ("margin", "futures", "funding", "earn", "isolated"):
        held.transfer(account, "USDT", "1000", "spot", wallet)
    held.hold(account, "funding", "USDT", "1.5")
    held.hold(account, "earn", "USDT", "300")
    held.borrow(account, "margin", "BTC", "0.01")
    held.accrue(account, "margin", "BTC", "0.00000001")
    held.transfer(account, "BTC", "1.5", "spot", "isolated")
    held.borrow(account, "isolated", "ETH", "0.25")
    held.transfer(account, "BTC", "0.75", "spot", "coin_futures")
    held.hold(account, "coin_futures", "BTC", "0.25")
    held.open_position(account, "BTC/USDT:USDT", "-0.01", "60000")
    return account


@pytest.mark.parametrize(
    ("params", "wallet", "fields"),
    [
        ({"type": "spot"}, "spot", ("free", "used", "total")),
        ({"type": "margin"}, "margin", ("free", "used", "total", "debt")),
        ({"marginMode": "isolated"}, "isolated", ("free", "used", "total", "debt")),
        ({"type": "funding"}, "funding", ("free", "used", "total")),
        ({"type": "swap"}, "futures", ("free", "used", "total")),
        ({"type": "swap", "subType": "inverse"}, "coin_futures", ("free", "used", "total")),
    ],
)
async def test_every_wallet_is_told_as_it_is(
    venue: Venue, main: Account, params: dict[str, str], wallet: str, fields: tuple[str, ...]
) -> None:
    async with connected(venue, main) as exchange:
        told = await exchange.fetch_balance(params)
    assert amounts(told, *fields) == truth(venue, main, wallet, *fields)
    assert truth(venue, main, wallet)


async def test_earn_is_told_by_the_two_position_lists_page_by_page(venue: Venue, main: Account) -> None:
    for number in range(1, 13):
        venue.truth.deposit(main, "earn", f"T{number:04d}", number)
    async with connected(venue, main) as exchange:
        first = await exchange.sapiGetSimpleEarnFlexiblePosition()
        second = await exchange.sapiGetSimpleEarnFlexiblePosition({"current": 2})
        locked = await exchange.sapiGetSimpleEarnLockedPosition({"size": 100})
    rows = [*first["rows"], *second["rows"]]
    assert (len(first["rows"]), len(rows), first["total"]) == (10, 13, 13)
    assert {row["asset"]: Decimal(row["totalAmount"]) for row in rows}["USDT"] == 700
    assert [(row["asset"], Decimal(row["amount"])) for row in locked["rows"]] == [("USDT", Decimal(300))]


async def test_positions_and_funding_fees_are_told_as_they_are(venue: Venue, main: Account) -> None:
    venue.truth.mark(main, "BTC/USDT:USDT", "59000.5")
    venue.truth.pay_funding(main, "BTC/USDT:USDT", "-0.12345678")
    async with connected(venue, main) as exchange:
        [position] = await exchange.fetch_positions()
        [fee] = await exchange.fetch_funding_history()
        balance = await exchange.fetch_balance({"type": "swap"})
    assert (position["symbol"], position["side"], Decimal(position["contracts"])) == (
        "BTC/USDT:USDT",
        "short",
        Decimal("0.01"),
    )
    assert Decimal(position["unrealizedPnl"]) == Decimal("9.995")
    assert (fee["symbol"], Decimal(fee["amount"])) == ("BTC/USDT:USDT", Decimal("-0.12345678"))
    held = venue.oracle(main)["futures"]["USDT"]
    assert Decimal(balance["total"]["USDT"]) == held.equity == held.total + Decimal("9.995")


@pytest.mark.parametrize(("kind", "wallet"), [("spot", "spot"), ("margin", "margin")])
async def test_the_stream_follows_a_fill(venue: Venue, main: Account, kind: str, wallet: str) -> None:
    async with connected(venue, main) as exchange:
        watching = asyncio.create_task(exchange.watch_balance({"type": kind}))
        await until(lambda: venue.sockets.count("binance", owned=True) == 1)
        venue.truth.trade(main, wallet, {"USDT": "-10.5", "ETH": "0.003"})
        told = await asyncio.wait_for(watching, 20)
    right = truth(venue, main, wallet, "free", "used", "total")
    assert amounts(told) == {asset: right[asset] for asset in ("USDT", "ETH")}


async def test_the_futures_stream_tells_the_wallet_balance_but_no_order_that_waits(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        watching = asyncio.create_task(exchange.watch_balance({"type": "swap"}))
        await until(lambda: venue.sockets.count("binance") == 1)
        venue.truth.hold(main, "futures", "USDT", "5")
        venue.truth.pay_funding(main, "BTC/USDT:USDT", "-0.5")
        told = await asyncio.wait_for(watching, 20)
    assert told["info"]["a"]["m"] == "FUNDING_FEE"
    assert Decimal(told["total"]["USDT"]) == venue.oracle(main)["futures"]["USDT"].total


async def test_the_coin_margined_stream_tells_its_own_wallet_only(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        watching = asyncio.create_task(exchange.watch_balance({"type": "swap", "subType": "inverse"}))
        await until(lambda: venue.sockets.count("binance") == 1)
        venue.truth.deposit(main, "futures", "USDT", 1)
        venue.truth.deposit(main, "coin_futures", "BTC", "0.125")
        told = await asyncio.wait_for(watching, 20)
    assert amounts(told, "total") == {"BTC": (Decimal("0.875"),)}


async def test_the_position_stream_follows_a_trade(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        watching = asyncio.create_task(exchange.watch_positions())
        await until(lambda: venue.sockets.count("binance") == 1)
        venue.truth.open_position(main, "ETH/USDT:USDT", "0.5", "3000")
        [position] = await asyncio.wait_for(watching, 20)
    assert (position["symbol"], position["side"], Decimal(position["contracts"])) == (
        "ETH/USDT:USDT",
        "long",
        Decimal("0.5"),
    )


async def test_wrong_keys_signatures_and_clocks_are_refused_in_the_venues_words(venue: Venue, main: Account) -> None:
    async with connected(venue, main, secret="nonsense") as exchange:
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await exchange.sapiGetAccountApiRestrictions()
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await exchange.watch_balance({"type": "spot"})
    async with connected(venue, main, apiKey="0" * 64) as exchange:
        with pytest.raises(ccxt.BaseError, match="-2008"):
            await exchange.sapiGetAccountApiRestrictions()
    venue.shift_clock(60_000)
    async with connected(venue, main) as exchange:
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            await exchange.sapiGetAccountApiRestrictions()
        await exchange.load_time_difference()
    venue.shift_clock(0)
    venue.expire_key(main)
    async with connected(venue, main) as exchange:
        with pytest.raises(ccxt.AuthenticationError, match="-2015"):
            await exchange.sapiGetAccountApiRestrictions()


async def test_what_a_key_may_do_is_told(venue: Venue) -> None:
    dangerous = venue.account("binance", "dangerous", permissions=("read", "withdraw"))
    async with connected(venue, dangerous) as exchange:
        told = await exchange.sapiGetAccountApiRestrictions()
    assert (told["enableReading"], told["enableWithdrawals"], told["enableSpotAndMarginTrading"]) == (True, True, False)


async def test_an_expired_key_ends_the_stream(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        watching = asyncio.create_task(exchange.watch_balance({"type": "spot"}))
        await until(lambda: venue.sockets.count("binance", owned=True) == 1)
        venue.expire_key(main)
        with pytest.raises(ccxt.BaseError):
            await asyncio.wait_for(watching, 20)


async def test_weight_is_counted_told_and_enforced_until_a_ban(timed: Venue, clock: Clock) -> None:
    main = timed.account("binance")
    async with connected(timed, main, clock=clock) as exchange:
        await exchange.load_markets()
        before = timed.weights.used("binance")["spot weight"]
        await exchange.fetch_balance({"type": "spot"})
        used = timed.weights.used("binance")["spot weight"]
        assert used == before + 20
        assert int(exchange.last_response_headers["X-MBX-USED-WEIGHT-1M"]) == used
        refusals = [text for text in [await _asked(exchange) for _ in range(320)] if text]
        assert "-1003" in refusals[0]
        assert len(refusals) == timed.weights.refused["binance"]
        assert timed.weights.most("binance")["spot weight"] == (6000, 6000)
        assert "418" in refusals[-1]
        assert "banned" in refusals[-1]
        assert exchange.last_response_headers["Retry-After"] == "121"
        clock.seconds += 121
        assert await _asked(exchange) == ""


async def _asked(exchange: Any) -> str:
    """What the venue said against a request, if anything."""
    try:
        await exchange.fetch_balance({"type": "spot"})
    except ccxt.DDoSProtection as refusal:
        return str(refusal)
    return ""
