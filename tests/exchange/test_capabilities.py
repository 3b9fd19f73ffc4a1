"""What the table promises is what ccxt can do, and what the documentation says."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from indexer.clients.exchange.dialects.table import (
    DIALECTS,
    capabilities,
    described,
    dialect_of,
    every_dialect,
)
from indexer.clients.exchange.exact import note
from indexer.demo.venue.dialects import DIALECTS as SPOKEN
from indexer.domain.accounts.amounts import AssetBalance, Slot, Wallet
from indexer.domain.accounts.validation import Thresholds, findings
from indexer.errors import BadAnswer
from tests.domain.accounts.builders import TIME
from tests.exchange.places import read

DOCUMENT = Path(__file__).parents[2] / "docs" / "exchanges.md"


@pytest.mark.parametrize("exchange", list(every_dialect()))
def test_every_promise_of_the_table_is_one_of_ccxts(exchange: str) -> None:
    dialect, has = every_dialect()[exchange], described(exchange)["has"]
    assert has["fetchBalance"]
    assert has["watchBalance"] or not any(kind.is_streamed for kind in dialect.wallets.values())
    assert has["fetchPositions"] or not dialect.has_positions
    assert has["fetchFundingHistory"] or not dialect.has_fundings
    needed = {name for name, is_needed in described(exchange)["requiredCredentials"].items() if is_needed}
    # Reading a public address takes no private key.
    own = {"privateKey", "walletAddress"} if exchange in ("dydx", "pacifica") else {"privateKey"}
    assert needed - own == set(dialect.credentials) - own


def test_all_that_ccxt_can_tell_of_a_well_known_venue_is_used() -> None:
    for exchange, dialect in DIALECTS.items():
        has = described(exchange)["has"]
        derivatives = {"futures", "unified"} & set(dialect.wallets)
        assert any(kind.is_streamed for kind in dialect.wallets.values()) == bool(has["watchBalance"])
        assert dialect.has_positions == bool(has["fetchPositions"] and derivatives)
        assert dialect.has_fundings == bool(has["fetchFundingHistory"] and derivatives)


def test_every_derivative_wallet_may_owe_and_has_parts_that_are_not_its_total() -> None:
    for exchange, dialect in every_dialect().items():
        derivative = {"futures", "coin_futures", "unified", "options"} & set(dialect.wallets)
        assert derivative <= dialect.exceptions.may_be_negative, exchange
        assert derivative <= dialect.exceptions.free_is_apart, exchange


@pytest.mark.parametrize("wallet", ["futures", "coin_futures"])
async def test_what_binance_says_is_owed_in_multi_assets_mode_is_believed(wallet: Wallet) -> None:
    row = {"asset": "USDT", "walletBalance": "-50", "availableBalance": "0", "initialMargin": "10"}
    found = await read("binance", wallet, json.dumps({"assets": [row]}))
    held = AssetBalance(Slot(wallet, "USDT"), found["USDT"], "wallet", "rest", TIME)
    assert findings(held, None, Thresholds(), DIALECTS["binance"].exceptions, 0) == ()


def test_the_documented_table_is_the_one_that_is_used() -> None:
    assert capabilities() in DOCUMENT.read_text(encoding="utf-8")


def test_an_exchange_that_ccxt_does_not_know_is_none() -> None:
    assert dialect_of("nowhere") is None
    assert dialect_of("coinbase") is not None


def test_the_demo_venue_speaks_every_dialect_that_is_known_well() -> None:
    assert set(SPOKEN) == set(DIALECTS)


class Answering:
    """ccxt, having read an answer."""

    shapes = None

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.options: dict[str, Any] = {}

    async def fetch_balance(self) -> Any:
        note(self._answer["info"])
        return self._answer


async def test_any_other_venue_is_read_as_ccxt_reads_it() -> None:
    dialect = dialect_of("coinbase")
    assert dialect is not None
    columns = {"free": {"BTC": "1.5"}, "used": {"BTC": "0.25"}, "total": {"BTC": "1.75"}, "debt": {}}
    found = await dialect.read(Answering({"info": [1], "timestamp": int(time.time() * 1000), **columns}), "spot")
    assert found.amounts["BTC"] == (Decimal("1.5"), Decimal("0.25"), Decimal("1.75"), None)


@pytest.mark.parametrize(("exchange", "measure"), [("apex", "equity"), ("dydx", "available"), ("coinbase", "wallet")])
def test_what_is_no_balance_of_a_wallet_is_not_called_one(exchange: str, measure: str) -> None:
    assert {kind.measure for kind in every_dialect()[exchange].wallets.values()} == {measure}


@pytest.mark.parametrize("info", [None, "", {}, "<html>"])
async def test_what_ccxt_takes_for_an_empty_wallet_is_no_answer(info: object) -> None:
    dialect = dialect_of("coinbase")
    assert dialect is not None
    with pytest.raises(BadAnswer):
        await dialect.read(Answering({"info": info, "free": {}, "used": {}, "total": {}}), "spot")
