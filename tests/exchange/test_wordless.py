"""A 401 that says nothing of the key, as Coinbase's do: of the venue, or of a proxy between us and it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from indexer.clients.exchange import wordless
from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.table import every_dialect
from indexer.clients.exchange.pool import Venues
from indexer.clients.exchange.wordless import LONG_SECONDS, MANY, Wordless
from indexer.errors import BadCredentials, VenueUnreachable

BTC = {"balance": {"amount": "5", "currency": "BTC"}, "currency": "BTC", "type": "wallet"}
HELD = {"pagination": {}, "data": [BTC]}


class Coinbase:
    """Tells its time to anybody, unless something in between refuses all that comes."""

    def __init__(self) -> None:
        self.is_key_good = False
        self.is_proxy_well = True
        self.told_time = 0

    async def answer(self, request: web.Request) -> web.Response:
        if self.is_proxy_well and request.path == "/v2/time":
            self.told_time += 1
            return web.json_response({"data": {"iso": "2026-11-27T12:00:00Z", "epoch": 1764244800}})
        if self.is_proxy_well and self.is_key_good:
            return web.json_response(HELD)
        return web.Response(status=401, text="Unauthorized\n")


@pytest.fixture
async def coinbase() -> Coinbase:
    return Coinbase()


@pytest.fixture
async def account(coinbase: Coinbase) -> AsyncIterator[ExchangeAccount]:
    """Real ccxt, which knows the venue's lists already."""
    app, venues, dialect = web.Application(), Venues(), every_dialect()["coinbase"]
    app.router.add_route("*", "/{tail:.*}", coinbase.answer)
    async with TestServer(app) as server:
        credentials = {"apiKey": "key", "secret": "secret"}
        made = ExchangeAccount(dialect, venues, credentials, ("spot",), base_url=str(server.make_url("")).rstrip("/"))
        made._rest = made._make()
        made._rest.markets = made._rest.markets_by_id = {"BTC/USDT": {}}
        yield made
        await made.close()
        await venues.close()


async def _refusals(account: ExchangeAccount, count: int) -> list[type[Exception]]:
    found: list[type[Exception]] = []
    for _ in range(count):
        with pytest.raises((VenueUnreachable, BadCredentials)) as caught:
            await account.read("spot")
        found.append(BadCredentials if isinstance(caught.value, BadCredentials) else VenueUnreachable)
    return found


async def test_on_trial_it_is_the_key_where_the_venue_answers_what_needs_none(account: ExchangeAccount) -> None:
    with pytest.raises(BadCredentials, match="401 Unauthorized"):
        await account.permissions()


async def test_on_trial_it_is_an_outage_where_nothing_is_answered(coinbase: Coinbase, account: ExchangeAccount) -> None:
    coinbase.is_proxy_well = False
    with pytest.raises(VenueUnreachable):
        await account.permissions()


async def test_of_an_account_that_is_followed_it_is_an_outage_until_it_was_said_for_long(
    coinbase: Coinbase, account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await _refusals(account, MANY) == [VenueUnreachable] * MANY
    assert coinbase.told_time == 0
    monkeypatch.setattr(wordless, "LONG_SECONDS", 0.0)
    assert await _refusals(account, 1) == [BadCredentials]
    coinbase.is_proxy_well = False
    assert await _refusals(account, 1) == [VenueUnreachable]


async def test_an_answer_in_between_says_that_the_key_is_good(
    coinbase: Coinbase, account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wordless, "LONG_SECONDS", 0.0)
    for _ in range(2):
        coinbase.is_key_good = False
        assert await _refusals(account, MANY - 1) == [VenueUnreachable] * (MANY - 1)
        coinbase.is_key_good = True
        assert str((await account.read("spot")).amounts["BTC"].total) == "5"


def test_few_of_them_and_many_at_once_say_nothing() -> None:
    few, many = Wordless(), Wordless()
    assert [few.one_more(now) for now in (0.0, LONG_SECONDS)] == [False, False]
    assert [many.one_more(now / 10) for now in range(50)] == [False] * 50
    assert many.one_more(LONG_SECONDS)
    many.over()
    assert not many.one_more(2 * LONG_SECONDS)
