"""What every dialect reads is what the venue holds, digit by digit, or one of our errors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pool import Venues
from indexer.demo.venue import Account, Faults, Venue
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import Permissions
from indexer.errors import BadCredentials, IndexerError, Throttled
from tests.exchange.conftest import NO_ANSWERS, Connect

EACH_WALLET = [(exchange, wallet) for exchange, dialect in DIALECTS.items() for wallet in dialect.wallets]
EXCHANGES = tuple(DIALECTS)
KEYED = tuple(name for name, dialect in DIALECTS.items() if "secret" in dialect.credentials)
CLOCKED = tuple(name for name in KEYED if name != "kraken")
CASH_ONLY = {("hyperliquid", "futures")}


def filled(venue: Venue, exchange: str) -> Account:
    """Odd amounts in every wallet, some of them on hold."""
    account, truth = venue.account(exchange), venue.truth
    for number, wallet in enumerate(DIALECTS[exchange].wallets, 1):
        cash = venue.cash(exchange)
        truth.deposit(account, wallet, cash, f"{number}000.50")
        truth.hold(account, wallet, cash, f"0.{number}")
        if (exchange, wallet) not in CASH_ONLY:
            truth.deposit(account, wallet, "BTC", f"{number}.12345678")
    return account


def held(venue: Venue, account: Account, wallet: str) -> Mapping[str, Decimal]:
    """Totals by the venue's own books."""
    return {asset: amounts.total for asset, amounts in venue.oracle(account).get(wallet, {}).items() if amounts.total}


async def totals(account: ExchangeAccount, wallet: Wallet) -> Mapping[str, Decimal | None]:
    snapshot = await account.read(wallet)
    return {asset: amounts.total for asset, amounts in snapshot.amounts.items() if amounts.total}


@pytest.mark.parametrize(("exchange", "wallet"), EACH_WALLET)
async def test_every_wallet_is_read_as_the_venue_holds_it(
    venue: Venue, connect: Connect, exchange: str, wallet: Wallet
) -> None:
    account = filled(venue, exchange)
    assert await totals(connect(account), wallet) == held(venue, account, wallet) != {}


TIMED = {
    ("binance", "spot"),
    ("binance", "futures"),
    ("binance", "coin_futures"),
    ("okx", "unified"),
    ("hyperliquid", "futures"),
}


@pytest.mark.parametrize(("exchange", "wallet"), EACH_WALLET)
async def test_an_answer_has_the_time_of_the_balances_where_the_venue_tells_one(
    venue: Venue, connect: Connect, exchange: str, wallet: Wallet
) -> None:
    """Never that of the answer alone: bybit's, which comes with everything, says nothing of the balances in it."""
    account = filled(venue, exchange)
    changed = venue.truth.state(account).time_ms / 1000
    snapshot = await connect(account).read(wallet)
    time = snapshot.time_of(venue.cash(exchange))
    assert (time is not None) == ((exchange, wallet) in TIMED)
    assert time is None or abs(time.timestamp() - changed) < 1


async def test_a_question_counts_as_asked_when_it_leaves(venue: Venue, connect: Connect) -> None:
    """Kraken takes 15 calls of 3 at once; the last of these waits for its turn."""
    account = connect(filled(venue, "kraken"))
    began = asyncio.get_running_loop().time()
    snapshots = [await account.read("spot") for _ in range(13)]
    last = snapshots[-1]
    assert last.asked - began > 1.0
    assert last.received - last.asked < last.asked - snapshots[-2].received


@pytest.mark.parametrize("exchange", KEYED)
async def test_a_key_tells_what_it_may_do(venue: Venue, connect: Connect, exchange: str) -> None:
    careful = venue.account(exchange, "careful", permissions=("read",))
    trading = venue.account(exchange, "trading", permissions=("read", "trade"))
    daring = venue.account(exchange, "daring", permissions=("read", "trade", "withdraw"))
    told = [await connect(each).permissions() for each in (careful, trading, daring)]
    if exchange == "kraken":  # it has no question for that
        assert told == [Permissions()] * 3
    else:
        assert [(one.can_trade, one.can_withdraw) for one in told] == [(False, False), (True, False), (True, True)]


@pytest.mark.parametrize("exchange", CLOCKED)
async def test_a_clock_that_runs_wrong_is_set_by_the_venues(venue: Venue, connect: Connect, exchange: str) -> None:
    account = filled(venue, exchange)
    connection = connect(account)
    venue.shift_clock(120_000)
    wallet = connection.wallets[0]
    assert await totals(connection, wallet) == held(venue, account, wallet)


async def test_an_address_that_is_none_is_refused(venue: Venue, connect: Connect) -> None:
    connection = connect(replace(venue.account("hyperliquid"), api_key="0x12"))
    with pytest.raises(BadCredentials):
        await connection.permissions()


@pytest.mark.parametrize("exchange", KEYED)
async def test_a_key_that_is_none_is_told_from_a_venue_that_is_ill(
    venue: Venue, connect: Connect, exchange: str
) -> None:
    account = venue.account(exchange)
    connection = connect(account)
    await connection.permissions()
    venue.expire_key(account)
    with pytest.raises(BadCredentials) as caught:
        await connection.read(connection.wallets[0])
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert not [secret for secret in account.credentials.values() if secret in shown and len(secret) > 8]


@pytest.mark.parametrize(("fault", "error"), NO_ANSWERS)
@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_whatever_is_no_answer_is_an_error_and_never_an_empty_wallet(
    venue: Venue, connect: Connect, exchange: str, fault: str, error: type[IndexerError]
) -> None:
    account = filled(venue, exchange)
    connection = connect(account)
    wallet = connection.wallets[0]
    await connection.read(wallet)
    venue.faults = Faults(**{fault: 1.0})
    with pytest.raises(error):
        await connection.read(wallet)
    venue.calm()
    assert await totals(connection, wallet) == held(venue, account, wallet)


async def test_the_pause_that_a_venue_asks_for_is_passed_on(venue: Venue, connect: Connect) -> None:
    account = venue.account("binance")
    connection = connect(account)
    await connection.read("spot")
    venue.faults = Faults(throttled=1.0, retry_after_seconds=7)
    with pytest.raises(Throttled) as caught:
        await connection.read("spot")
    assert caught.value.retry_after_seconds == 7


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_numbers_that_come_as_json_numbers_keep_their_digits(
    venue: Venue, connect: Connect, exchange: str
) -> None:
    account = venue.account(exchange)
    connection = connect(account)
    wallet = connection.wallets[0]
    # Eighteen digits, of which a double keeps sixteen.
    venue.truth.deposit(account, wallet, "BTC", "1234567890.12345678")
    venue.faults = Faults(floats=1.0)
    assert await totals(connection, wallet) == {"BTC": Decimal("1234567890.12345678")}


async def test_an_accounts_endpoint_shows_nothing_of_a_url_but_its_host() -> None:
    account = ExchangeAccount(
        DIALECTS["binance"], Venues(), {}, ("spot",), base_url="http://user:hush@127.0.0.1:8080/path?key=hush"
    )
    assert account.endpoint == "127.0.0.1:8080"
