"""Venues that ccxt alone reads: an answer in which nothing is, against one in which there is nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.clients.exchange.dialects.shape import Shape
from indexer.clients.exchange.dialects.table import every_dialect
from indexer.clients.exchange.exact import ccxt_class, exact_class
from indexer.errors import BadAnswer

XT_GOOD = (
    '{"rc":0,"mc":"SUCCESS","ma":[],"result":{"totalBtcAmount":0,"assets":[{"currency":"usdt","currencyId":11,'
    '"frozenAmount":"0","availableAmount":"5","totalAmount":"5"}]}}'
)
XT_EMPTY = '{"rc":0,"mc":"SUCCESS","ma":[],"result":{"totalBtcAmount":0,"assets":[]}}'
BITOPRO_GOOD = '{"data":[{"currency":"usdt","amount":"5","available":"5","stake":"0","tradable":true}]}'
BITOPRO_EMPTY = '{"data":[]}'


class Reading:
    """Real ccxt, whose answers the test writes."""

    def __init__(self, name: str) -> None:
        self.dialect = every_dialect()[name]
        keys = dict.fromkeys(self.dialect.credentials, "a" * 32)
        self.exchange = exact_class(ccxt_class(name))({**keys, "number": str})
        self.exchange.markets = self.exchange.markets_by_id = {}
        self.exchange.load_markets = self._nothing
        self.exchange.fetch = self._fetch
        self.body = ""

    async def _nothing(self, *_: Any) -> dict[str, Any]:
        return {}

    async def _fetch(self, *_: Any, **__: Any) -> Any:
        answer = self.exchange.parse_json(self.body)
        return self.body if answer is None else answer

    async def read(self, body: str) -> dict[str, str]:
        self.body = body
        found = await self.dialect.read(self.exchange, next(iter(self.dialect.wallets)))
        return {asset: str(amounts.total) for asset, amounts in found.amounts.items()}


@pytest.fixture(params=[("xt", XT_GOOD, XT_EMPTY), ("bitopro", BITOPRO_GOOD, BITOPRO_EMPTY)], ids=["xt", "bitopro"])
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Reading, str, str]]:
    name, good, empty = request.param
    reading = Reading(name)
    yield reading, good, empty
    await reading.exchange.close()


@pytest.mark.parametrize("body", ["{}", "", "<html>sorry</html>", "[]", '"ok"', "null", '{"other":1}'])
async def test_a_success_without_shape_is_none(venue: tuple[Reading, str, str], body: str) -> None:
    reading, good, empty = venue
    assert await reading.read(good) == {"USDT": "5"}
    with pytest.raises(BadAnswer):
        await reading.read(body)
    assert await reading.read(empty) == {}
    assert await reading.read(good) == {"USDT": "5"}


@pytest.mark.parametrize("body", ["{}", "", "<html>sorry</html>", '"ok"', "null"])
async def test_what_has_no_shape_is_not_believed_before_anything_was_seen(
    venue: tuple[Reading, str, str], body: str
) -> None:
    reading, _, empty = venue
    with pytest.raises(BadAnswer):
        await reading.read(body)
    assert await reading.read(empty) == {}


BITVAVO_GOOD = '[{"symbol":"BTC","available":"1.5","inOrder":"0.5"},{"symbol":"EUR","available":"100","inOrder":"0"}]'
BITVAVO = '[%s,{"symbol":"EUR","available":"101","inOrder":"0"}]'


@pytest.fixture
async def bitvavo() -> AsyncIterator[Reading]:
    reading = Reading("bitvavo")
    yield reading
    await reading.exchange.close()


@pytest.mark.parametrize(
    "row",
    [
        '{"symbol":"BTC","available":null,"inOrder":null}',
        '{"symbol":"BTC"}',
        '{"symbol":"BTC","available":true,"inOrder":"0"}',
        '{"symbol":"BTC","available":"","inOrder":""}',
    ],
)
async def test_an_asset_without_its_amount_is_there_and_says_nothing(bitvavo: Reading, row: str) -> None:
    assert await bitvavo.read(BITVAVO_GOOD) == {"BTC": "2", "EUR": "100"}
    assert await bitvavo.read(BITVAVO % row) == {"BTC": "None", "EUR": "101"}
    assert await bitvavo.read(f"[{row}]") == {"BTC": "None"}


@pytest.mark.parametrize(
    "amount", ["NaN", '"NaN"', '"sNaN1"', '"Infinity"', "-Infinity", '"1,234.5"', '"1e1000000"', '"1e999999999"']
)
async def test_an_amount_that_cannot_be_read_is_that_of_its_asset_alone(bitvavo: Reading, amount: str) -> None:
    found = await bitvavo.read(BITVAVO % f'{{"symbol":"BTC","available":{amount},"inOrder":"0"}}')
    assert found == {"BTC": "NaN", "EUR": "101"}


_ANSWERS = st.dictionaries(st.sampled_from("abcd"), st.none(), min_size=1) | st.lists(st.none())


@given(st.lists(_ANSWERS, min_size=1))
def test_whatever_was_seen_with_assets_is_believed_without(answers: list[Any]) -> None:
    known: Shape | None = None
    for answer in answers:
        shape = Shape.of(answer)
        assert shape is not None
        known = shape if known is None else known.with_one(shape)
    assert known is not None
    newest = Shape.of(answers[-1])
    assert newest is not None
    assert newest.is_like(known)
