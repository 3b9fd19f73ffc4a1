"""One amount that nobody can read, among others of the same answer or frame."""

from __future__ import annotations

import json

import pytest

from indexer.domain.accounts.amounts import Amounts, Wallet
from tests.exchange.places import BORROWABLE, EACH, STREAMED, Place, named, read, told


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
    good, bad = {"asset": "EUR", **BORROWABLE}, {"asset": "BTC", **BORROWABLE, "free": "1,234.5"}
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
