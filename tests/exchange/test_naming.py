"""Assets whose names differ in little: none stands for another, whichever way it is told."""

from __future__ import annotations

import json

import pytest

from tests.exchange.places import PLACES, Place, client_of, named, read, told


def one(place: Place, asset: str, amount: str) -> dict[str, object]:
    return place.of(asset, **dict.fromkeys(place.amounts, amount))


@pytest.mark.parametrize("place", PLACES, ids=named)
async def test_names_that_differ_in_case_are_two_assets_as_the_venue_writes_them(place: Place) -> None:
    for rows in (("USDe", "USDE"), ("USDE", "USDe")):
        body = place.body(*(one(place, name, "5" if name == "USDe" else "7") for name in rows))
        found = await read(place.exchange, place.wallet, body)
        alone = await read(place.exchange, place.wallet, place.body(one(place, "USDe", "5")))
        assert set(found) == {"USDe", "USDE"}
        assert found["USDe"] == alone["USDe"] != found["USDE"]


@pytest.mark.parametrize("place", [place for place in PLACES if place.frame is not None], ids=named)
def test_frames_call_them_as_answers_do(place: Place) -> None:
    found = told(place.exchange, place.wallet, place.body(place.of("USDe"), place.of("USDE"), frame=True))
    assert set(found) == {"USDe", "USDE"}


@pytest.mark.parametrize("place", PLACES, ids=named)
async def test_of_two_that_go_by_one_name_neither_is_believed_and_the_others_are(place: Place) -> None:
    body = place.body(one(place, "XBT", "5"), one(place, "BTC", "7"), one(place, "ETH", "3"))
    found = await read(place.exchange, place.wallet, body)
    assert set(found) == {"BTC", "ETH"}
    assert not any(each.is_finite() for each in found["BTC"] if each is not None)
    assert all(each.is_finite() for each in found["ETH"] if each is not None)


@pytest.mark.parametrize("rows", [("XBT", "BTC"), ("BTC", "XBT")])
async def test_one_of_which_nothing_is_held_stands_in_nobodys_way(rows: tuple[str, str]) -> None:
    (place,) = (each for each in PLACES if (each.exchange, each.wallet) == ("binance", "spot"))
    found = await read(
        "binance", "spot", place.body(*(one(place, name, "0" if name == "XBT" else "7") for name in rows))
    )
    assert found["BTC"].free == 7


async def test_krakens_names_are_told_apart_over_rest_and_in_frames() -> None:
    held = {"balance": "5", "hold_trade": "0"}
    found = await read("kraken", "spot", json.dumps({"result": {"AAPLx": held, "AAPLX": held, "XXBT": held}}))
    assert set(found) == {"AAPLx", "AAPLX", "BTC"}
    rows = [
        {"asset": asset, "balance": 5, "wallets": [{"type": "spot", "id": "main", "balance": 5}]}
        for asset in ("AAPLx", "AAPLX", "BTC")
    ]
    assert set(told("kraken", "spot", json.dumps({"channel": "balances", "data": rows}))) == set(found)


async def test_krakens_older_coins_keep_their_usual_names() -> None:
    held = {"balance": "5", "hold_trade": "0"}
    names = {"XXBT": "BTC", "XXDG": "DOGE", "ZUSD": "USD", "ETH.F": "ETH.F", "XETH": "ETH", "USDT": "USDT"}
    found = await read("kraken", "spot", json.dumps({"result": dict.fromkeys(names, held)}))
    assert list(found) == list(names.values())


async def test_hyperliquids_coins_of_other_chains_keep_their_plain_names() -> None:
    client = client_of("hyperliquid")
    client.options["spotCurrencyMapping"] = {"UBTC": "BTC"}
    held = {"total": "5", "hold": "0"}
    body = json.dumps({"balances": [{"coin": name, **held} for name in ("UBTC", "feUSD", "FEUSD", "USDC")]})
    assert set(await read("hyperliquid", "spot", body)) == {"BTC", "feUSD", "FEUSD", "USDC"}
