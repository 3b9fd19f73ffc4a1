"""One amount that nobody can read, among others of the same answer or frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest

from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.exact import ccxt_class, decoded, exact_class
from indexer.domain.accounts.amounts import Amounts, Wallet

Row = dict[str, Any]


class Place(NamedTuple):
    """Where a wallet's rows stand in an answer, and what one of them looks like."""

    exchange: str
    wallet: Wallet
    around: str
    name: str
    row: Row
    amounts: tuple[str, ...]
    """Those of its members that are amounts of the balance."""
    frame: str | None = None
    """Around the rows of a frame, where they look the same."""

    def body(self, *rows: Row, frame: bool = False) -> str:
        around = self.frame if frame and self.frame is not None else self.around
        return around % ",".join(json.dumps(row) for row in rows)

    def of(self, asset: str, **others: Any) -> Row:
        return {**self.row, self.name: asset, **others}


_BINANCE_FUTURES: Row = {"walletBalance": "5", "availableBalance": "5", "initialMargin": "0", "updateTime": 1}
_BORROWABLE: Row = {"free": "5", "locked": "0", "borrowed": "0", "interest": "0"}
_OKX: Row = {"availBal": "5", "frozenBal": "0", "cashBal": "5", "liab": "0", "uTime": "1"}
_BYBIT: Row = {
    "walletBalance": "5",
    "availableToWithdraw": "5",
    "borrowAmount": "0",
    "locked": "0",
    "totalOrderIM": "0",
    "totalPositionIM": "0",
}
_DERIBIT: Row = {"balance": "5", "available_funds": "5", "initial_margin": "0"}

PLACES = (
    Place("binance", "spot", '{"balances":[%s]}', "asset", {"free": "5", "locked": "0"}, ("free", "locked")),
    Place("binance", "margin", '{"userAssets":[%s]}', "asset", _BORROWABLE, tuple(_BORROWABLE)),
    Place("binance", "futures", '{"assets":[%s]}', "asset", _BINANCE_FUTURES, tuple(_BINANCE_FUTURES)[:3]),
    Place(
        "binance",
        "funding",
        "[%s]",
        "asset",
        {"free": "5", "locked": "0", "freeze": "0", "withdrawing": "0"},
        ("free", "locked", "freeze", "withdrawing"),
    ),
    Place(
        "okx",
        "unified",
        '{"data":[{"details":[%s]}]}',
        "ccy",
        _OKX,
        tuple(_OKX)[:4],
        '{"arg":{"channel":"account"},"data":[{"details":[%s]}]}',
    ),
    Place(
        "okx",
        "funding",
        '{"data":[%s]}',
        "ccy",
        {"availBal": "5", "frozenBal": "0", "bal": "5"},
        ("availBal", "frozenBal", "bal"),
    ),
    Place(
        "bybit",
        "unified",
        '{"result":{"list":[{"coin":[%s]}]}}',
        "coin",
        _BYBIT,
        tuple(_BYBIT),
        '{"topic":"wallet","data":[{"coin":[%s]}]}',
    ),
    Place(
        "bybit",
        "funding",
        '{"result":{"balance":[%s]}}',
        "coin",
        {"transferBalance": "5", "walletBalance": "5"},
        ("transferBalance", "walletBalance"),
    ),
    Place("deribit", "futures", '{"result":{"summaries":[%s]}}', "currency", _DERIBIT, tuple(_DERIBIT)),
    Place("hyperliquid", "spot", '{"balances":[%s]}', "coin", {"total": "5", "hold": "0"}, ("total", "hold")),
)
EACH = [(place, name) for place in PLACES for name in place.amounts]
STREAMED = [each for each in EACH if each[0].frame is not None]


def named(one: object) -> str:
    return f"{one.exchange}-{one.wallet}" if isinstance(one, Place) else str(one)


@cache
def client_of(name: str) -> Any:
    """Real ccxt, whose answers the test writes; without a connection it has nothing to close."""
    keys = dict.fromkeys(DIALECTS[name].credentials, "a" * 32)
    client = exact_class(ccxt_class(name))({**keys, "number": str})
    client.markets = client.markets_by_id = {}
    return client


async def read(exchange: str, wallet: Wallet, body: str) -> Mapping[str, Amounts]:
    async def fetch(*_: Any, **__: Any) -> Any:
        return decoded(body)

    client = client_of(exchange)
    client.fetch = fetch
    return (await DIALECTS[exchange].read(client, wallet)).amounts


def told(exchange: str, wallet: Wallet, frame: str) -> Mapping[str, Amounts]:
    found = DIALECTS[exchange].told(client_of(exchange), wallet, decoded(frame))
    assert found is not None
    return found.amounts


def is_kept_out(amounts: Amounts) -> bool:
    return any(each is not None and not each.is_finite() for each in amounts)


@pytest.mark.parametrize("text", ["1,234.5", "-Infinity", "1e999999999", "n/a"])
@pytest.mark.parametrize(("place", "name"), EACH, ids=named)
async def test_an_amount_that_cannot_be_read_leaves_the_others_of_its_answer(
    place: Place, name: str, text: str
) -> None:
    found = await read(place.exchange, place.wallet, place.body(place.of("BTC", **{name: text}), place.of("EUR")))
    assert str(found["EUR"].total) == "5"
    assert is_kept_out(found["BTC"])


@pytest.mark.parametrize(("place", "name"), STREAMED, ids=named)
def test_an_amount_that_cannot_be_read_leaves_the_others_of_its_frame(place: Place, name: str) -> None:
    rows = place.of("BTC", **{name: "1,234.5"}), place.of("EUR")
    found = told(place.exchange, place.wallet, place.body(*rows, frame=True))
    assert str(found["EUR"].total) == "5"
    assert is_kept_out(found["BTC"])


async def test_what_stands_in_several_places_is_kept_out_as_soon_as_one_cannot_be_read() -> None:
    pair = '{"assets":[{"baseAsset":%s,"quoteAsset":%s}]}'
    good, bad = {"asset": "EUR", **_BORROWABLE}, {"asset": "BTC", **_BORROWABLE, "free": "1,234.5"}
    found = await read("binance", "isolated", pair % (json.dumps(bad), json.dumps(good)))
    assert (str(found["EUR"].total), is_kept_out(found["BTC"])) == ("5", True)
    flexible = {"asset": "BTC", "totalAmount": "1,234.5", "amount": "1"}
    found = await read("binance", "earn", json.dumps({"total": 1, "rows": [flexible]}))
    assert is_kept_out(found["BTC"])
    row = {"coin": "BTC", "amount": "1,234.5"}
    found = await read("bybit", "earn", json.dumps({"result": {"list": [row]}}))
    assert is_kept_out(found["BTC"])
    order = {"ccy": "BTC", "amt": "1,234.5", "investData": [{"ccy": "EUR", "amt": "1"}]}
    found = await read("okx", "earn", json.dumps({"data": [order]}))
    assert (str(found["EUR"].total), is_kept_out(found["BTC"])) == ("1", True)


async def test_a_name_of_kraken_is_kept_out_alone() -> None:
    rows = {"XXBT": {"balance": "1,234.5", "hold_trade": "0"}, "ZEUR": {"balance": "5", "hold_trade": "0"}}
    found = await read("kraken", "spot", json.dumps({"error": [], "result": rows}))
    assert (str(found["EUR"].total), is_kept_out(found["BTC"])) == ("5", True)


@pytest.mark.parametrize(
    ("exchange", "wallet", "frame"),
    [
        ("binance", "spot", '{"e":"outboundAccountPosition","B":[%s,%s]}|a|f|l'),
        ("binance", "futures", '{"e":"ACCOUNT_UPDATE","a":{"B":[%s,%s]}}|a|wb|cw'),
        ("kraken", "spot", '{"channel":"balances","type":"update","data":[%s,%s]}|asset|balance|amount'),
    ],
)
def test_a_frame_of_other_words_tells_the_others_as_well(exchange: str, wallet: Wallet, frame: str) -> None:
    around, asset, amount, other = frame.split("|")
    common = {other: "0", "wallet_type": "spot", "wallet_id": "main"}
    bad, good = {asset: "BTC", amount: "1,234.5", **common}, {asset: "EUR", amount: "5", **common}
    found = told(exchange, wallet, around % (json.dumps(bad), json.dumps(good)))
    assert (str(found["EUR"].total), is_kept_out(found["BTC"])) == ("5", True)
