"""Positions and funding payments of every dialect that has them are all that the venue holds, or one of our errors."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects import payments
from indexer.clients.exchange.dialects.dialect import KNOCK
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.dialects.unified import funding_of, placed
from indexer.demo.venue import Account, Venue
from indexer.demo.venue.faults import NONE
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import Arrival, FundingsSeen, PositionsSeen, Snapshot, StreamLost, Updated
from indexer.errors import BadAnswer, IndexerError
from tests.exchange.conftest import NO_ANSWERS, Connect
from tests.exchange.test_listening import listening, until

POSITIONED = tuple(name for name, dialect in DIALECTS.items() if dialect.has_positions)
FUNDED = tuple(name for name, dialect in DIALECTS.items() if dialect.has_fundings)
SYMBOLS = {"deribit": "BTC/USDC:USDC", "hyperliquid": "BTC/USDC:USDC"}
MARGIN: dict[str, Wallet] = {name: "unified" if name in ("okx", "bybit") else "futures" for name in POSITIONED}
HOUR_MS = 3_600_000


def symbol_at(exchange: str) -> str:
    return SYMBOLS.get(exchange, "BTC/USDT:USDT")


def opened(venue: Venue, exchange: str, size: str = "0.5") -> Account:
    account, symbol = venue.account(exchange), symbol_at(exchange)
    venue.truth.deposit(account, MARGIN[exchange], symbol.partition(":")[2], "1000000")
    venue.truth.open_position(account, symbol, size, "60000")
    return account


def paid(venue: Venue, account: Account, count: int, *, hours: int) -> list[Decimal]:
    """So many payments, one every few hours until now; what was paid, oldest first."""
    amounts = [Decimal(f"-0.{number:04}1") for number in range(count)]
    for number, amount in enumerate(amounts):
        venue.shift_clock(-(count - number) * hours * HOUR_MS)
        venue.truth.pay_funding(account, symbol_at(account.exchange), amount)
    venue.shift_clock(0)
    return amounts


async def all_fundings(account: ExchangeAccount, since: datetime | None) -> tuple[list[Decimal], list[FundingsSeen]]:
    """Asked again from where the last answer ended, as the account's actor does."""
    seen: list[FundingsSeen] = []
    while not seen or not seen[-1].is_all:
        seen.append(await account.fundings(since if not seen else seen[-1].until))
    found = {one.id: one for each in seen for one in each.fundings}
    return [one.amount for one in sorted(found.values(), key=lambda one: one.time)], seen


@pytest.mark.parametrize("size", ["0.5", "-0.5"])
@pytest.mark.parametrize("exchange", POSITIONED)
async def test_a_position_is_read_as_the_venue_holds_it(
    venue: Venue, connect: Connect, exchange: str, size: str
) -> None:
    account = opened(venue, exchange, size)
    connection = connect(account)
    [position] = (await connection.positions()).positions
    assert (position.side, position.entry_price) == ("short" if size[0] == "-" else "long", Decimal(60000))
    assert position.contracts == Decimal(50 if exchange == "okx" else "0.5")
    venue.truth.open_position(account, symbol_at(exchange), "0", "60000")
    assert (await connection.positions()).positions == ()


@pytest.mark.parametrize(("fault", "error"), NO_ANSWERS)
@pytest.mark.parametrize("exchange", POSITIONED)
async def test_whatever_is_no_answer_is_an_error_and_never_that_nothing_is_open(
    venue: Venue, connect: Connect, exchange: str, fault: str, error: type[IndexerError]
) -> None:
    connection = connect(opened(venue, exchange))
    before = await connection.positions()
    venue.faults = replace(NONE, **{fault: 1.0})
    with pytest.raises(error):
        await connection.positions()
    if DIALECTS[exchange].has_fundings:
        with pytest.raises(error):
            await connection.fundings(None)
    venue.calm()
    assert (await connection.positions()).positions == before.positions


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("exchange", FUNDED)
async def test_every_payment_of_a_long_absence_is_read(
    venue: Venue, connect: Connect, exchange: str, is_first: bool
) -> None:
    account = opened(venue, exchange)
    amounts = paid(venue, account, 130, hours=5)
    found, [seen] = await all_fundings(connect(account), None if is_first else datetime.now(UTC) - timedelta(days=40))
    assert found == amounts
    assert seen.until > datetime.now(UTC) - timedelta(minutes=1)


@pytest.mark.parametrize("exchange", FUNDED)
async def test_a_burst_at_one_time_is_read_whole(venue: Venue, connect: Connect, exchange: str) -> None:
    account = opened(venue, exchange)
    amounts = paid(venue, account, 130, hours=0)
    found, _ = await all_fundings(connect(account), datetime.now(UTC) - timedelta(days=1))
    assert sorted(found) == sorted(amounts)


@pytest.mark.parametrize("exchange", FUNDED)
async def test_what_is_too_much_for_one_question_goes_on_with_the_next(
    venue: Venue, connect: Connect, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "MOST_PAGES", 3)
    account = opened(venue, exchange)
    amounts = paid(venue, account, 990, hours=2)
    found, seen = await all_fundings(connect(account), datetime.now(UTC) - timedelta(days=85))
    assert found == amounts
    assert len(seen) > 1 or exchange in ("binance", "hyperliquid")  # whose pages are as long as the venue's memory


@pytest.mark.parametrize("exchange", POSITIONED)
async def test_a_stream_tells_positions_as_they_are_opened_turned_and_closed(
    venue: Venue, connect: Connect, exchange: str
) -> None:
    account, symbol = opened(venue, exchange), symbol_at(exchange)
    connection = connect(account, MARGIN[exchange])
    [read] = (await connection.positions()).positions
    async with listening(connection) as heard:
        sizes = itertools.count(1)

        def is_subscribed() -> bool:
            venue.truth.open_position(account, symbol, f"0.{next(sizes)}", "60000")
            return any(isinstance(one, PositionsSeen) for one in heard)

        await until(is_subscribed)
        for size, side in (("0.7", "long"), ("-0.2", "short"), ("0", "flat")):
            venue.truth.open_position(account, symbol, size, "60000")
            contracts = abs(Decimal(size)) * (100 if exchange == "okx" else 1)
            await until(partial(is_told, heard, read.symbol, (side, contracts)))
    assert not [one for one in heard if isinstance(one, StreamLost)]
    assert [one for one in heard if isinstance(one, Snapshot | Updated)]


def is_told(heard: list[Arrival], symbol: str, wanted: tuple[str, Decimal]) -> bool:
    """Whether the last frame says so; a whole one without positions says that they are closed."""
    seen = [one for one in heard if isinstance(one, PositionsSeen) and one.source == "stream"][-1]
    found = [(one.side, one.contracts) for one in seen.positions if one.symbol == symbol]
    return found == [wanted] or (not found and seen.complete and wanted[0] == "flat")


@pytest.mark.parametrize("exchange", POSITIONED)
async def test_nothing_is_told_before_a_read_brought_the_names(venue: Venue, connect: Connect, exchange: str) -> None:
    account, symbol = opened(venue, exchange), symbol_at(exchange)
    async with listening(connect(account, MARGIN[exchange])) as heard:
        before = len(heard)
        venue.truth.open_position(account, symbol, "0.7", "60000")
        await until(lambda: len(heard) > before)
    assert not [one for one in heard if isinstance(one, PositionsSeen | StreamLost)]


@pytest.mark.parametrize("contracts", ["NaN", "-Infinity", "1e999999"])
def test_a_position_of_no_number_is_an_error_and_not_one_of_which_nobody_could_say_which_is_larger(
    contracts: str,
) -> None:
    with pytest.raises(BadAnswer):
        placed({"symbol": "BTC/USDT:USDT", "side": "long", "contracts": contracts})


def test_a_position_keeps_every_digit_of_its_size() -> None:
    found = placed({"symbol": "BTC/USDT:USDT", "side": "short", "contracts": "-1" + "0" * 40 + "7"})
    assert str(found.position.contracts) == "1" + "0" * 40 + "7"


@pytest.mark.parametrize(
    ("exchange", "refusal"),
    [
        (
            "okx",
            {"event": "error", "code": "60018", "msg": "Wrong URL or channel:positions,instType:ANY doesn't exist."},
        ),
        ("okx", {"id": str(KNOCK), "event": "error", "code": "60011", "msg": "Please log in"}),
        ("bybit", {"success": False, "ret_msg": "no permission", "op": "subscribe", "req_id": str(KNOCK)}),
        ("deribit", {"jsonrpc": "2.0", "id": KNOCK, "error": {"code": 13021, "message": "forbidden"}}),
    ],
)
def test_a_venue_that_refuses_to_tell_positions_is_not_heard_as_one_that_refuses_balances(
    exchange: str, refusal: Mapping[str, object]
) -> None:
    dialect = DIALECTS[exchange]
    assert dialect.is_answer(refusal)
    assert not dialect.is_answer({"event": "error", "code": "60011", "msg": "Please log in", "success": False})


def test_a_frame_about_what_no_read_tells_says_nothing() -> None:
    bybit = DIALECTS["bybit"]
    assert bybit.position(None, {"symbol": "BTCUSD", "category": "inverse", "positionIdx": 0, "size": "1"}) is None
    assert bybit.position(None, {"symbol": "BTCUSDT", "category": "linear", "positionIdx": 1, "size": "1"}) is None


def test_a_number_that_is_all_zeros_is_none() -> None:
    row = {"symbol": "BTC/USDC:USDC", "code": "USDC", "timestamp": 1764115200000, "amount": "1", "id": f"0x{0:064x}"}
    assert funding_of(row).id == "BTC/USDC:USDC:USDC:1764115200"
    assert funding_of({**row, "id": "0x10"}).id == "0x10"
