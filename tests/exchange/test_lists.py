"""Venues that tell their lists of markets only to who has a key, over real ccxt and a real socket."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import ccxt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.table import every_dialect
from indexer.clients.exchange.exact import ccxt_class
from indexer.clients.exchange.markets import SharedLists
from indexer.clients.exchange.pool import Venues
from indexer.errors import BadAnswer, BadCredentials

GOOD = "the-key-that-is-known"
ALPACA_ASSET = {
    "id": "a",
    "class": "crypto",
    "exchange": "CRYPTO",
    "symbol": "BTC/USD",
    "name": "Bitcoin",
    "status": "active",
}
ALPACA_ACCOUNT = {"currency": "USD", "cash": "5.92", "equity": "22.51", "position_market_value": "16.59"}
ALPACA_POSITION = {"symbol": "BTCUSD", "qty": "0.000207296", "qty_available": "0.000207296", "side": "long"}
MUDREX_FUNDS = {"balance": "12.5", "locked_amount": "2.5", "first_time_user": False}


class Site:
    """Answers whoever sends the key, and counts what it was asked for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Any] = {
            "/v2/assets": [ALPACA_ASSET],
            "/v2/account": ALPACA_ACCOUNT,
            "/v2/positions": [ALPACA_POSITION],
            "/fapi/v1/futures": {"success": True, "data": [{"symbol": "BTCUSDT", "id": "a"}]},
            "/fapi/v1/futures/funds": {"success": True, "data": MUDREX_FUNDS},
        }
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        if GOOD not in (request.headers.get("APCA-API-SECRET-KEY"), request.headers.get("X-Authentication")):
            told = {
                "success": False,
                "code": 40110000,
                "message": "request is not authorized",
                "errors": [{"code": 401, "text": "unauthorized"}],
            }
            return web.json_response(told, status=401)
        return web.json_response(self.answers[request.path])


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site, app = Site(), web.Application()
    app.router.add_get("/{tail:.*}", site.answer)
    async with TestServer(app) as server:
        site.url = str(server.make_url("")).rstrip("/")
        yield site


@pytest.fixture
async def venues() -> AsyncIterator[Venues]:
    venues = Venues()
    yield venues
    await venues.close()


def account(venues: Venues, site: Site, exchange: str, secret: str = GOOD) -> ExchangeAccount:
    dialect = every_dialect()[exchange]
    credentials = dict.fromkeys(dialect.credentials, secret)
    return ExchangeAccount(dialect, venues, credentials, tuple(dialect.wallets), base_url=site.url)


async def totals(account: ExchangeAccount) -> Mapping[str, str]:
    (wallet,) = account.wallets
    snapshot = await account.read(wallet)
    return {asset: str(amounts.total) for asset, amounts in snapshot.amounts.items()}


@pytest.mark.parametrize(
    ("exchange", "lists", "held"),
    [
        ("alpaca", "/v2/assets", {"USD": "5.92", "BTC": "0.000207296"}),
        ("mudrex", "/fapi/v1/futures", {"USDT": "15"}),
    ],
)
async def test_they_are_asked_with_the_key_once_for_all_accounts(
    site: Site, venues: Venues, exchange: str, lists: str, held: Mapping[str, str]
) -> None:
    one, other = account(venues, site, exchange), account(venues, site, exchange)
    try:
        assert await totals(one) == held
        assert await totals(other) == held
        await one.permissions()
    finally:
        await one.close()
        await other.close()
    assert site.asked[lists] == 1


@pytest.mark.parametrize("exchange", ["alpaca", "mudrex"])
async def test_a_bad_key_is_told_to_its_own_account_and_to_no_other(site: Site, venues: Venues, exchange: str) -> None:
    bad, good = account(venues, site, exchange, "another"), account(venues, site, exchange)
    try:
        refused, read = await asyncio.gather(totals(bad), totals(good), return_exceptions=True)
        assert isinstance(refused, BadCredentials)
        assert not isinstance(read, BaseException)
    finally:
        await bad.close()
        await good.close()


async def test_lists_that_stay_keep_no_credentials(site: Site, venues: Venues) -> None:
    one = account(venues, site, "alpaca")
    try:
        await totals(one)
    finally:
        await one.close()
    (lists,) = venues._lists._loaded.values()
    assert GOOD not in repr(vars(lists))


async def test_of_a_balance_made_of_several_answers_each_must_be_one(site: Site, venues: Venues) -> None:
    one = account(venues, site, "alpaca")
    try:
        await totals(one)
        for path in ("/v2/account", "/v2/positions"):
            kept = site.answers[path]
            for answer in ({}, {"other": 1}):
                site.answers[path] = answer
                with pytest.raises(BadAnswer):
                    await totals(one)
            site.answers[path] = kept
        site.answers["/v2/positions"] = []
        assert await totals(one) == {"USD": "5.92"}
    finally:
        await one.close()


async def test_lists_that_could_not_be_loaded_are_loaded_again_for_the_next_who_asks() -> None:
    lists, answers = SharedLists(), [ConnectionError("reset"), "lists"]

    async def load() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    both = (lists.of("venue", load), lists.of("venue", load))
    assert [type(each) for each in await asyncio.gather(*both, return_exceptions=True)] == [ConnectionError] * 2
    assert [await lists.of("venue", load), await lists.of("venue", load)] == ["lists", "lists"]
    await lists.close()


async def test_of_all_venues_those_ask_for_a_key_that_ccxt_signs_their_lists_for() -> None:
    for name, dialect in every_dialect().items():
        exchange, signed = ccxt_class(name)({}), list[str]()

        async def answer(path: str, api: Any = "public", *_: Any, signed: list[str] = signed, **__: Any) -> Any:
            if "private" in str(api).lower():
                signed.append(path)
            return {}

        exchange.fetch2 = answer
        with suppress(ccxt.BaseError, TypeError):  # nothing that it asked for was answered
            await exchange.load_markets()
        assert bool(signed) == dialect.lists_need_key, name
