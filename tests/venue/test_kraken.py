from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest

from indexer.demo.venue import Account, Venue
from tests.venue.client import Clock, amounts, connected, truth, until


@pytest.fixture
def main(venue: Venue) -> Account:
    account, held = venue.account("kraken"), venue.truth
    held.deposit(account, "spot", "USDT", "10000.5")
    held.deposit(account, "spot", "BTC", "1.0123456789")
    held.deposit(account, "spot", "ETH", "123456789.123456789012345678")
    held.deposit(account, "spot", "T0001", "3")
    held.hold(account, "spot", "USDT", "100.25")
    held.hold(account, "spot", "BTC", "0.5")
    return account


async def test_the_balance_is_told_as_it_is_under_krakens_names(venue: Venue, main: Account) -> None:
    async with connected(venue, main) as exchange:
        told = await exchange.fetch_balance()
    assert told["info"]["result"]["XXBT"]["balance"] == "1.0123456789"
    assert amounts(told) == truth(venue, main, "spot")
    assert set(truth(venue, main, "spot")) == {"USDT", "BTC", "ETH", "T0001"}


async def test_the_stream_tells_totals_as_numbers_and_counts_its_frames(venue: Venue, main: Account) -> None:
    venue.truth.withdraw(main, "spot", "ETH", "123456789.123456789012345678")
    async with connected(venue, main) as exchange:
        first = await asyncio.wait_for(exchange.watch_balance(), 20)
        assert amounts(first, "total") == truth(venue, main, "spot", "total")
        watching = asyncio.create_task(exchange.watch_balance())
        await asyncio.sleep(0)
        venue.truth.hold(main, "spot", "BTC", "0.1")
        venue.truth.trade(main, "spot", {"USDT": "-60.5", "BTC": "0.001"})
        second = await asyncio.wait_for(watching, 20)
    assert amounts(second, "total") == truth(venue, main, "spot", "total")
    assert set(second["used"].values()) == {None}


async def test_a_socket_that_is_well_beats_every_second(venue: Venue, main: Account) -> None:
    heard: list[str] = []
    async with connected(venue, main) as exchange:
        real = exchange.handle_message

        def tapped(client: Any, message: dict[str, Any]) -> None:
            heard.append(str(message.get("channel")))
            real(client, message)

        exchange.handle_message = tapped
        await asyncio.wait_for(exchange.watch_balance(), 20)
        await until(lambda: "heartbeat" in heard)


async def test_wrong_keys_signatures_and_nonces_are_refused(venue: Venue, main: Account) -> None:
    async with connected(venue, main, apiKey="x") as exchange:
        with pytest.raises(ccxt.AuthenticationError, match="EAPI:Invalid key"):
            await exchange.privatePostBalanceEx()
    async with connected(venue, main, secret="eHl6") as exchange:
        # ccxt does not know this one.
        with pytest.raises(ccxt.ExchangeError, match="EAPI:Invalid signature"):
            await exchange.privatePostBalanceEx()
    async with connected(venue, main) as fast, connected(venue, main) as slow:
        early = slow.incrementing_nonce()
        await asyncio.sleep(0.002)
        await fast.privatePostBalanceEx()
        slow.incrementing_nonce = lambda: early
        with pytest.raises(ccxt.InvalidNonce):
            await slow.privatePostBalanceEx()


async def test_the_counter_drains_slowly(timed: Venue, clock: Clock) -> None:
    async with connected(timed, timed.account("kraken"), clock=clock) as exchange:
        for _ in range(20):
            await exchange.privatePostBalanceEx()
        with pytest.raises(ccxt.DDoSProtection, match="EAPI:Rate limit exceeded"):
            await exchange.privatePostBalanceEx()
        clock.seconds += 2
        await exchange.privatePostBalanceEx()
    assert timed.weights.most("kraken")["private counter"] == (20, 20)
