"""An amount that a venue names and does not tell: it is null here as well, and that of its asset alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from indexer.domain.accounts.amounts import Amounts
from indexer.errors import BadAnswer
from tests.exchange.places import EACH, PLACES, STREAMED, Place, named, read, told

USED = {
    ("binance", "spot"): ("locked",),
    ("binance", "margin"): ("locked",),
    ("binance", "futures"): ("initialMargin",),
    ("binance", "funding"): ("locked", "freeze", "withdrawing"),
    ("okx", "unified"): ("frozenBal",),
    ("okx", "funding"): ("frozenBal",),
    ("bybit", "unified"): ("locked", "totalOrderIM", "totalPositionIM"),
    ("deribit", "futures"): ("initial_margin",),
    ("hyperliquid", "spot"): ("hold",),
}
HELD = [(place, name) for place in PLACES for name in USED.get((place.exchange, place.wallet), ())]


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize(("place", "name"), EACH, ids=named)
async def test_an_amount_that_is_not_told_leaves_the_others_of_its_answer(
    place: Place, name: str, nothing: str | None
) -> None:
    found = await read(place.exchange, place.wallet, place.body(place.of("BTC", **{name: nothing}), place.of("EUR")))
    assert str(found["EUR"].total) == "5"
    assert None in found["BTC"]
    assert not [each for each in found["BTC"] if each is not None and each not in (0, 5)]


@pytest.mark.parametrize(("place", "name"), HELD, ids=named)
async def test_what_is_on_hold_is_not_zero_where_a_part_of_it_is_not_told(place: Place, name: str) -> None:
    found = await read(place.exchange, place.wallet, place.body(place.of("BTC", **{name: None}), place.of("EUR")))
    assert found["BTC"].used is None
    assert found["EUR"].used == 0


@pytest.mark.parametrize("place", PLACES, ids=named)
async def test_an_answer_in_which_no_balance_is_told_is_none(place: Place) -> None:
    row: dict[str, Any] = place.of("BTC", **dict.fromkeys(place.amounts))
    with pytest.raises(BadAnswer):
        await read(place.exchange, place.wallet, place.body(row))
    assert not (await read(place.exchange, place.wallet, place.body(row, place.of("EUR"))))["BTC"].is_nothing


@pytest.mark.parametrize(("place", "name"), STREAMED, ids=named)
def test_an_amount_that_is_not_told_leaves_the_others_of_its_frame(place: Place, name: str) -> None:
    rows = place.of("BTC", **{name: None}), place.of("EUR")
    found = told(place.exchange, place.wallet, place.body(*rows, frame=True))
    assert str(found["EUR"].total) == "5"
    assert None in found["BTC"]


async def test_what_kraken_does_not_tell_of_holds_is_not_free_either() -> None:
    rows = {"XXBT": {"balance": "5", "hold_trade": None}, "ZEUR": {"balance": "5", "hold_trade": "0"}}
    found = await read("kraken", "spot", json.dumps({"error": [], "result": rows}))
    assert found["BTC"]._replace(total=None) == Amounts()
    assert found["BTC"].total == found["EUR"].total == found["EUR"].free
