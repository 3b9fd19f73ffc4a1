"""What every dialect hears, and how soon it notices that it does not hear any more."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest

from indexer.clients.exchange import listening as listening_module
from indexer.clients.exchange import pool
from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.dialect import WalletKind
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pinging import BEATS
from indexer.demo.venue import NONE, Venue
from indexer.domain.accounts.amounts import Slot, Wallet
from indexer.domain.accounts.arrivals import Arrival, Moved, Snapshot, StreamAlive, StreamLost, StreamOpened, Updated
from indexer.domain.accounts.hearing import DEAD_SECONDS
from tests.exchange.conftest import PING_SECONDS, Connect

STREAMED = [
    (exchange, wallet)
    for exchange, dialect in DIALECTS.items()
    for wallet, kind in dialect.wallets.items()
    if kind.is_streamed
]
EXCHANGES = tuple(dict.fromkeys(exchange for exchange, _ in STREAMED))


@asynccontextmanager
async def listening(account: ExchangeAccount) -> AsyncIterator[list[Arrival]]:
    """Once all its streams are open."""
    heard: list[Arrival] = []
    task = asyncio.create_task(account.listen(heard.append))
    try:
        await until(lambda: StreamOpened(account.streamed) in heard)
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not come"
        await asyncio.sleep(0.01)


def told(heard: list[Arrival], slot: Slot) -> list[Decimal | None]:
    """Totals of this slot, in the order told."""
    return [
        one.amounts[slot.asset].total
        for one in heard
        if isinstance(one, Updated | Snapshot) and one.wallet == slot.wallet and slot.asset in one.amounts
    ]


@pytest.mark.parametrize(("exchange", "wallet"), STREAMED)
async def test_a_change_is_heard_with_its_new_amount(
    venue: Venue, connect: Connect, exchange: str, wallet: Wallet
) -> None:
    account = venue.account(exchange)
    asset = "BTC" if exchange != "hyperliquid" else "USDC"
    venue.truth.deposit(account, wallet, asset, "1")
    async with listening(connect(account)) as heard:
        venue.truth.deposit(account, wallet, asset, "0.25")
        slot = Slot(wallet, asset)
        await until(lambda: told(heard, slot)[-1:] == [Decimal("1.25")])


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_stream_that_says_nothing_is_alive_while_its_pings_are_answered(
    venue: Venue, connect: Connect, exchange: str
) -> None:
    async with listening(connect(venue.account(exchange))) as heard:
        before = heard.count(StreamAlive())
        await until(lambda: heard.count(StreamAlive()) > before)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_socket_that_is_cut_is_told_and_opened_again(venue: Venue, connect: Connect, exchange: str) -> None:
    connection = connect(venue.account(exchange))
    async with listening(connection) as heard:
        venue.sockets.cut()
        await until(lambda: any(isinstance(one, StreamLost) for one in heard))
        opened = heard.count(StreamOpened(connection.streamed))
        await until(lambda: heard.count(StreamOpened(connection.streamed)) > opened)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_socket_that_answers_no_ping_is_lost_after_two_of_them(
    venue: Venue, connect: Connect, exchange: str
) -> None:
    async with listening(connect(venue.account(exchange))) as heard:
        venue.sockets.mute(pings=False)
        began = asyncio.get_running_loop().time()
        await until(lambda: any(isinstance(one, StreamLost) for one in heard))
        assert asyncio.get_running_loop().time() - began < 10 * PING_SECONDS / pool.PING_SECONDS + 2


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_stream_that_answers_pings_and_nothing_else_is_lost(
    venue: Venue, connect: Connect, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {wallet: replace(kind, knock_seconds=kind.knock_seconds / 50) for wallet, kind in _kinds(exchange).items()}
    monkeypatch.setitem(DIALECTS, exchange, replace(DIALECTS[exchange], wallets=kinds))
    monkeypatch.setattr(listening_module, "ANSWER_SECONDS", 0.3)
    async with listening(connect(venue.account(exchange))) as heard:
        venue.sockets.mute(pings=True)
        await until(lambda: any(isinstance(one, StreamLost) for one in heard))


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_quiet_stream_that_answers_questions_is_kept(
    venue: Venue, connect: Connect, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {wallet: replace(kind, knock_seconds=kind.knock_seconds / 100) for wallet, kind in _kinds(exchange).items()}
    monkeypatch.setitem(DIALECTS, exchange, replace(DIALECTS[exchange], wallets=kinds))
    async with listening(connect(venue.account(exchange))) as heard:
        await asyncio.sleep(1.5)
        assert not [one for one in heard if isinstance(one, StreamLost)]


async def test_of_several_streams_one_that_stays_closed_is_lost_and_no_other(venue: Venue, connect: Connect) -> None:
    connection = connect(venue.account("binance"), "spot", "futures")
    async with listening(connection) as heard:
        venue.once("unavailable", "fapi/v1/listenKey", times=1_000)
        connection._ears["futures"].give_up("gone")
        await until(lambda: any(isinstance(one, StreamLost) for one in heard))
        venue.truth.deposit(venue.account("binance"), "spot", "BTC", "1")
        await until(lambda: told(heard, Slot("spot", "BTC")) == [Decimal(1)])
        assert [one for one in heard if isinstance(one, StreamLost)] == [StreamLost("gone", frozenset({"spot"}))]


def _kinds(exchange: str) -> Mapping[Wallet, WalletKind]:
    return DIALECTS[exchange].wallets


async def test_what_ccxt_gives_up_is_not_logged_by_asyncio(
    venue: Venue, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connection = connect(venue.account("binance"))
    async with listening(connection) as heard:
        venue.once("unavailable", times=3)
        venue.sockets.refuse()
        connection.reopen("once")
        connection.reopen("twice")
        await until(lambda: sum(isinstance(one, StreamLost) for one in heard) >= 1)
        await asyncio.sleep(1)
        venue.sockets.admit()
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_silence_is_noticed_within_ten_seconds() -> None:
    """Each moment may be up to a beat late (tests/exchange/test_silence.py plays it)."""
    beat = pool.PING_SECONDS / BEATS
    assert pool.PING_SECONDS * listening_module.SILENT_PINGS + beat < 10
    knocks = [kind.knock_seconds for dialect in DIALECTS.values() for kind in dialect.wallets.values()]
    assert max(knocks) + beat + listening_module.ANSWER_SECONDS + beat < 10


def test_an_account_is_told_to_be_alive_before_it_doubts_that_for_all_that_may_be_late() -> None:
    beat = pool.PING_SECONDS / BEATS
    assert pool.PING_SECONDS * listening_module.ALIVE_PINGS + beat + 2 < DEAD_SECONDS


async def test_many_streams_of_an_address_ask_less_often_each_and_those_that_are_counted_by_key_do_not() -> None:
    venues, binance, deribit = pool.Venues(), DIALECTS["binance"], DIALECTS["deribit"]
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(venues.listening(binance, ""))
            stack.enter_context(venues.listening(deribit, ""))
        assert venues.knock_seconds(binance, "", "spot") == 30
        assert venues.knock_seconds(binance, "http://elsewhere", "spot") == 5
        assert venues.knock_seconds(deribit, "", "futures") == 5
        assert venues.knock_seconds(DIALECTS["okx"], "", "unified") == 0
    assert venues.knock_seconds(binance, "", "spot") == 5


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_stream_is_begun_anew_when_it_is_not_believed(venue: Venue, connect: Connect, exchange: str) -> None:
    connection = connect(venue.account(exchange))
    async with listening(connection) as heard:
        connection.reopen("it forgot something")
        await until(lambda: any(isinstance(one, StreamLost) and "forgot" in one.reason for one in heard))
        opened = heard.count(StreamOpened(connection.streamed))
        await until(lambda: heard.count(StreamOpened(connection.streamed)) > opened)


async def test_what_came_without_an_amount_is_heard_as_moved(venue: Venue, connect: Connect) -> None:
    account = venue.account("binance")
    async with listening(connect(account)) as heard:
        venue.truth.deposit(account, "spot", "BTC", "0.25")
        await until(lambda: any(isinstance(one, Moved) for one in heard))


@pytest.mark.parametrize(
    ("exchange", "wallet", "path"),
    [("binance", "margin", "/sapi/v1/userListenToken"), ("kraken", "spot", "GetWebSocketsToken")],
)
async def test_a_stream_is_not_opened_again_before_the_venue_lets_us(
    venue: Venue, connect: Connect, exchange: str, wallet: Wallet, path: str
) -> None:
    account = venue.account(exchange)
    connection = connect(account, wallet)
    await connection.read(wallet)  # what kraken's lists are needed for
    asked, loop = list[float](), asyncio.get_running_loop()

    def is_asked(times: int) -> bool:
        return sum(count for (_, place), count in venue.requests.items() if place.endswith(path)) >= times

    venue.faults = replace(NONE, throttled=1.0, retry_after_seconds=2.0)
    async with asyncio.TaskGroup() as group:
        listens = group.create_task(connection.listen(lambda _arrival: None))
        for number in (1, 2):
            await until(partial(is_asked, number))
            asked.append(loop.time())
        listens.cancel()
    assert asked[1] - asked[0] > 1.9
