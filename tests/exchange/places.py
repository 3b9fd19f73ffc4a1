"""Where each wallet's amounts stand in a venue's answers and frames, and real ccxt to read what a test writes there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

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
BORROWABLE: Row = {"free": "5", "locked": "0", "borrowed": "0", "interest": "0"}
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
    Place("binance", "margin", '{"userAssets":[%s]}', "asset", BORROWABLE, tuple(BORROWABLE)),
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
