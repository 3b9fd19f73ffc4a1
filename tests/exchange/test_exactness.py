"""Whatever digits a venue writes are the digits that are told, over REST and in frames.

`PAYLOADS` generated answers over all dialects; 100,000 are the whole figure.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import pytest

from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.exact import decoded
from indexer.domain.accounts.amounts import Wallet

PAYLOADS = int(os.environ.get("PAYLOADS", "20000"))


class Shape(NamedTuple):
    """One kind of answer or frame around an amount, @."""

    exchange: str
    wallet: Wallet
    is_frame: bool
    text: str


SHAPES = (
    Shape("binance", "spot", False, '{"balances":[{"asset":"BTC","free":@,"locked":"0"}]}'),
    Shape(
        "binance", "margin", False, '{"userAssets":[{"asset":"BTC","free":"0","locked":@,"borrowed":@,"interest":"0"}]}'
    ),
    Shape(
        "binance",
        "isolated",
        False,
        '{"assets":[{"baseAsset":{"asset":"BTC","free":@,"locked":"0","borrowed":@,"interest":"0"},'
        '"quoteAsset":{"asset":"BTC","free":"0","locked":"0","borrowed":"0","interest":@}}]}',
    ),
    Shape(
        "binance",
        "coin_futures",
        False,
        '{"assets":[{"asset":"BTC","walletBalance":@,"availableBalance":"1","initialMargin":"2"}]}',
    ),
    Shape("binance", "coin_futures", True, '{"e":"ACCOUNT_UPDATE","T":1,"a":{"B":[{"a":"BTC","wb":@,"cw":@}]}}'),
    Shape("binance", "futures", False, '{"assets":[{"asset":"BTC","walletBalance":@,"availableBalance":"1"}]}'),
    Shape("binance", "spot", True, '{"event":{"e":"outboundAccountPosition","u":1,"B":[{"a":"BTC","f":@,"l":"0"}]}}'),
    Shape("binance", "futures", True, '{"e":"ACCOUNT_UPDATE","T":1,"a":{"B":[{"a":"BTC","wb":@,"cw":@}]}}'),
    Shape(
        "okx", "unified", False, '{"data":[{"uTime":"1","details":[{"ccy":"BTC","cashBal":@,"availBal":@,"liab":""}]}]}'
    ),
    Shape("okx", "funding", False, '{"data":[{"ccy":"BTC","bal":@,"availBal":@,"frozenBal":"0"}]}'),
    Shape(
        "okx",
        "unified",
        True,
        '{"arg":{"channel":"account"},"eventType":"event_update","data":[{"uTime":"1","details":[{"ccy":"BTC","cashBal":@}]}]}',
    ),
    Shape("bybit", "unified", False, '{"result":{"list":[{"coin":[{"coin":"BTC","walletBalance":@,"equity":"7"}]}]}}'),
    Shape("bybit", "funding", False, '{"result":{"balance":[{"coin":"BTC","walletBalance":@,"transferBalance":@}]}}'),
    Shape(
        "bybit",
        "unified",
        True,
        '{"topic":"wallet","creationTime":1,"data":[{"coin":[{"coin":"BTC","walletBalance":@}]}]}',
    ),
    Shape("kraken", "spot", False, '{"error":[],"result":{"BTC":{"balance":@,"hold_trade":"0"}}}'),
    Shape(
        "kraken",
        "spot",
        True,
        '{"channel":"balances","data":[{"asset":"BTC","balance":@,"wallet_type":"spot","wallet_id":"main"}]}',
    ),
    Shape("deribit", "futures", False, '{"result":{"summaries":[{"currency":"BTC","balance":@,"equity":7}]}}'),
    Shape(
        "deribit",
        "futures",
        True,
        '{"params":{"channel":"user.portfolio.any","data":{"currency":"BTC","balance":@,"equity":7}}}',
    ),
    Shape("hyperliquid", "spot", False, '{"balances":[{"coin":"BTC","total":@,"hold":"0"}]}'),
    Shape(
        "hyperliquid",
        "futures",
        True,
        '{"channel":"clearinghouseState","data":{"clearinghouseState":'
        '{"time":1,"withdrawable":"1","marginSummary":{"accountValue":@,"totalMarginUsed":"1"}}}}',
    ),
)


class Answering:
    """Ccxt where every endpoint answers the same, decoded as ours decodes."""

    walletAddress = "0x"  # noqa: N815 - ccxt's name

    def __init__(self, text: str) -> None:
        self._answer = decoded(text)

    def __getattr__(self, endpoint: str) -> Callable[..., Any]:
        async def answered(_params: object = None) -> Any:
            return self._answer

        return answered

    def safe_currency_code(self, code: str) -> str:
        return code

    def update_spot_currency_code(self, code: str) -> str:
        return code


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.exchange} {shape.wallet} {shape.is_frame}")
async def test_every_digit_that_a_venue_writes_is_told(shape: Shape) -> None:
    dice = Random(f"{shape}")  # noqa: S311 - digits, not keys
    dialect = DIALECTS[shape.exchange]
    for _ in range(PAYLOADS // len(SHAPES) + 1):
        digits = _digits(dice)
        text = shape.text.replace("@", digits if dice.random() < 0.5 else f'"{digits}"')
        exchange = Answering(text)
        if shape.is_frame:
            told = dialect.told(exchange, shape.wallet, decoded(text))
            assert told is not None
            amounts = told.amounts
        else:
            amounts = (await dialect.read(exchange, shape.wallet)).amounts
        [found] = {each.total for each in amounts.values()}
        assert found == Decimal(digits), text


def _digits(dice: Random) -> str:
    """Up to 20 digits before the point, up to 30 after it, now and then none."""
    whole = str(dice.randrange(10 ** dice.randrange(1, 20)))
    places = dice.choice((0, 0, 1, 2, 6, 8, 10, 18, 18, 30))
    return f"{whole}.{''.join(dice.choices('0123456789', k=places))}" if places else whole
