"""Wallets beside the main one at venues that ccxt alone reads: where each is asked for, and what is made of the answer.

The answers are the samples of the venues' own documentation, with other amounts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.table import every_dialect
from indexer.clients.exchange.pool import Venues
from indexer.domain.accounts.amounts import Wallet
from indexer.errors import BadAnswer, WalletUnsupported

Parts = tuple[str | None, str | None, str | None, str | None]


class Case(NamedTuple):
    exchange: str
    wallet: Wallet
    asked: str
    answer: Any
    empty: Any
    held: Mapping[str, Parts]
    """Free, used, total and debt."""


def _kucoin(data: Any) -> Any:
    return {"code": "200000", "data": data}


_KUCOIN_MARGIN = {
    "currency": "USDT", "total": "12.5", "available": "10", "hold": "2.5", "liability": "1.5", "interest": "0.5"
}  # fmt: skip
_GATE_SIDE = {"available": "10", "locked": "2.5", "borrowed": "1.5", "interest": "0.5"}

CASES = (
    Case(
        "bingx",
        "funding",
        "/openApi/fund/v1/account/balance",
        {"code": 0, "timestamp": 1, "data": {"assets": [{"asset": "USDT", "free": "10", "locked": "2.5"}]}},
        {"code": 0, "timestamp": 2, "data": {"assets": []}},
        {"USDT": ("10", "2.5", "12.5", None)},
    ),
    Case(
        "bitget",
        "margin",
        "/api/v2/margin/crossed/account/assets",
        {
            "code": "00000",
            "msg": "success",
            "requestTime": 1,
            "data": [
                {
                    "coin": "USDT",
                    "totalAmount": "12.5",
                    "available": "10",
                    "transferable": "10",
                    "frozen": "2.5",
                    "borrow": "1.5",
                    "interest": "0.5",
                }
            ],
        },
        {"code": "00000", "msg": "success", "requestTime": 2, "data": []},
        {"USDT": ("10", "2.5", "12.5", "2")},
    ),
    Case(
        "gate",
        "futures",
        "/api/v4/futures/usdt/accounts",
        {"user": 1, "currency": "USDT", "total": "12.5", "unrealised_pnl": "7", "available": "10"},
        {"user": 1, "currency": "USDT", "total": "0", "unrealised_pnl": "0", "available": "0"},
        {"USDT": ("10", "2.5", "12.5", None)},
    ),
    Case(
        "gate",
        "isolated",
        "/api/v4/margin/accounts",
        [
            {
                "currency_pair": "BTC_USDT",
                "base": {"currency": "BTC", **_GATE_SIDE},
                "quote": {"currency": "USDT", **_GATE_SIDE},
            },
            {
                "currency_pair": "ETH_USDT",
                "base": {"currency": "ETH", **_GATE_SIDE},
                "quote": {"currency": "USDT", **_GATE_SIDE},
            },
        ],
        [],
        {
            "BTC": ("10", "2.5", "12.5", "1.5"),
            "ETH": ("10", "2.5", "12.5", "1.5"),
            "USDT": ("20", "5", "25", "3"),
        },
    ),
    Case(
        "kucoin",
        "funding",
        "/api/v1/accounts?type=main",
        _kucoin(
            [{"id": "1", "currency": "USDT", "type": "main", "balance": "12.5", "available": "10", "holds": "2.5"}]
        ),
        _kucoin([]),
        {"USDT": ("10", "2.5", "12.5", None)},
    ),
    Case(
        "kucoin",
        "margin",
        "/api/v1/margin/account",
        _kucoin({"totalAssetOfQuoteCurrency": "1", "accounts": [_KUCOIN_MARGIN]}),
        _kucoin({"totalAssetOfQuoteCurrency": "0", "accounts": []}),
        {"USDT": ("10", "2.5", "12.5", "2")},
    ),
    Case(
        "kucoin",
        "isolated",
        "/api/v3/isolated/accounts",
        _kucoin(
            {
                "assets": [
                    {
                        "symbol": "BTC-USDT",
                        "baseAsset": {**_KUCOIN_MARGIN, "currency": "BTC"},
                        "quoteAsset": _KUCOIN_MARGIN,
                    }
                ]
            }
        ),
        _kucoin({"assets": []}),
        {"BTC": ("10", "2.5", "12.5", "2"), "USDT": ("10", "2.5", "12.5", "2")},
    ),
    Case(
        "mexc",
        "futures",
        "/api/v1/private/account/assets",
        {
            "success": True,
            "code": 0,
            "data": [{"currency": "USDT", "availableBalance": 10.0, "frozenBalance": 2.5, "equity": 19.5}],
        },
        {"success": True, "code": 0, "data": []},
        {"USDT": ("10", "2.5", "12.5", None)},
    ),
    Case(
        "phemex",
        "futures",
        "/g-accounts/accountPositions?currency=USDT",
        {
            "code": 0,
            "msg": "",
            "data": {
                "account": {"currency": "USDT", "accountBalanceRv": "12.5", "totalUsedBalanceRv": "2.5"},
                "positions": [],
            },
        },
        {
            "code": 0,
            "msg": "",
            "data": {
                "account": {"currency": "USDT", "accountBalanceRv": "0", "totalUsedBalanceRv": "0"},
                "positions": [],
            },
        },
        {"USDT": ("10", "2.5", "12.5", None)},
    ),
    Case(
        "whitebit",
        "funding",
        "/api/v4/main-account/balance",
        {"USDT": {"main_balance": "12.5"}},
        {"USDT": {"main_balance": "0"}},
        {"USDT": ("12.5", "0", "12.5", None)},
    ),
)
MODES = {
    "/api/v3/account/settings": {"code": "40084", "msg": "not a unified account"},
    "/api/v4/account/detail": {"user_id": 1, "key": {"mode": 1}},
    "/api/ua/v1/account/mode": _kucoin({"selfAccountMode": "CLASSIC"}),
}
"""Whether the account's wallets are one."""


class Site:
    """Answers by path, and knows what it was asked for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Any] = dict(MODES)
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked[str(request.rel_url)] += 1
        answer = self.answers.get(request.path)
        return web.json_response(answer, status=200 if answer is not None else 404)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site, app = Site(), web.Application()
    app.router.add_route("*", "/{tail:.*}", site.answer)
    async with TestServer(app) as server:
        site.url = str(server.make_url("")).rstrip("/")
        yield site


@pytest.fixture
async def venues() -> AsyncIterator[Venues]:
    venues = Venues()
    yield venues
    await venues.close()


def account(venues: Venues, site: Site, exchange: str, key: str = "key") -> ExchangeAccount:
    """Real ccxt, which knows the venue's lists already."""
    dialect = every_dialect()[exchange]
    credentials = dict.fromkeys(dialect.credentials, key)
    made = ExchangeAccount(dialect, venues, credentials, tuple(dialect.wallets), base_url=site.url)
    made._rest = made._make()
    made._rest.markets = made._rest.markets_by_id = {"BTC/USDT": {}}
    usdt = {"id": "USDT", "code": "USDT", "valueScale": 8}
    made._rest.currencies = made._rest.currencies_by_id = {"USDT": usdt}
    return made


async def held(account: ExchangeAccount, wallet: Wallet) -> Mapping[str, Parts]:
    snapshot = await account.read(wallet)

    def text(part: Any) -> str | None:
        return None if part is None else f"{part.normalize():f}"

    return {
        asset: (text(each.free), text(each.used), text(each.total), text(each.debt))
        for asset, each in snapshot.amounts.items()
        if not each.is_nothing
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.exchange}-{case.wallet}")
async def test_each_is_asked_for_at_its_own_place_and_told_whole(site: Site, venues: Venues, case: Case) -> None:
    path = case.asked.partition("?")[0]
    site.answers[path] = case.answer
    one = account(venues, site, case.exchange)
    try:
        assert await held(one, case.wallet) == case.held
        assert [asked for asked in site.asked if asked.startswith(case.asked)], site.asked
        site.answers[path] = case.empty
        assert await held(one, case.wallet) == {}
        site.answers[path] = {}
        with pytest.raises(BadAnswer):
            await held(one, case.wallet)
    finally:
        await one.close()


def test_all_of_them_are_told_of_here() -> None:
    more = {
        (name, wallet)
        for name, dialect in every_dialect().items()
        if type(dialect).__name__ == "Generic"
        for wallet in list(dialect.wallets)[1:]
    }
    assert more == {(case.exchange, case.wallet) for case in CASES}


@pytest.mark.parametrize(
    ("exchange", "wallet", "path", "unified"),
    [
        ("bitget", "margin", "/api/v3/account/settings", {"code": "00000", "data": {"accountMode": "unified"}}),
        ("gate", "futures", "/api/v4/account/detail", {"user_id": 1, "key": {"mode": 2}}),
        ("kucoin", "margin", "/api/ua/v1/account/mode", _kucoin({"selfAccountMode": "UNIFIED"})),
        ("kucoin", "isolated", "/api/ua/v1/account/mode", _kucoin({"selfAccountMode": "UNIFIED"})),
    ],
)
async def test_of_an_account_whose_wallets_are_one_nothing_is_told_twice(
    site: Site, venues: Venues, exchange: str, wallet: Wallet, path: str, unified: Any
) -> None:
    site.answers[path] = unified
    site.answers |= {
        "/api/v3/account/assets": {"code": "00000", "data": {"assets": [{"coin": "USDT", "balance": "1"}]}},
        "/api/v4/unified/accounts": {"user_id": 1, "balances": {"USDT": {"available": "1", "freeze": "0"}}},
        "/api/ua/v1/account/balance": _kucoin({"accounts": [{"currencies": [_KUCOIN_MARGIN]}]}),
    }
    one = account(venues, site, exchange)
    try:
        with pytest.raises(WalletUnsupported, match="all of it is in the main wallet"):
            await held(one, wallet)
    finally:
        await one.close()


async def test_kucoins_funding_is_apart_in_a_unified_account_as_well(site: Site, venues: Venues) -> None:
    site.answers |= {
        "/api/ua/v1/account/mode": _kucoin({"selfAccountMode": "UNIFIED"}),
        "/api/ua/v1/account/balance": _kucoin({"accounts": [{"currencies": [_KUCOIN_MARGIN]}]}),
    }
    one = account(venues, site, "kucoin")
    try:
        assert await held(one, "funding") == {"USDT": ("10", "2.5", "12.5", "2")}
    finally:
        await one.close()
    assert site.asked["/api/ua/v1/account/balance?accountType=FUNDING"] == 1


async def test_two_wallets_that_are_read_at_once_are_not_taken_for_each_other(site: Site, venues: Venues) -> None:
    """Each answer is held against those of its own wallet."""
    spot = {
        "code": "0",
        "data": [{"currency": "USDT", "balanceEv": 1250000000, "lockedTradingBalanceEv": 0, "lockedWithdrawEv": 0}],
    }
    case = next(case for case in CASES if case.exchange == "phemex")
    site.answers |= {"/spot/wallets": spot, "/g-accounts/accountPositions": case.answer}
    one = account(venues, site, "phemex")
    try:
        for _ in range(2):
            main, futures = await asyncio.gather(held(one, "spot"), held(one, "futures"))
            assert (main["USDT"][2], futures) == ("12.5", case.held)
        shapes = one._rest.shapes
        assert {wallet: [sorted(each.members) for each in known] for wallet, known in shapes.items()} == {
            "spot": [["code", "data"]],
            "futures": [["code", "data", "msg"]],
        }
    finally:
        await one.close()


@pytest.mark.parametrize(
    ("exchange", "wallet", "asked", "answer", "told"),
    [
        (
            "dydx",
            "futures",
            "/v4/addresses/dydx1abc/subaccountNumber/0",
            {"subaccount": {"address": "dydx1abc", "subaccountNumber": 0, "equity": "20.5", "freeCollateral": "10"}},
            ("USDC", "available"),
        ),
        (
            "pacifica",
            "spot",
            "/api/v1/account?account=dydx1abc",
            {
                "success": True,
                "data": {"balance": "10", "total_margin_used": "0", "spot_balances": [], "updated_at": 1789394568220},
            },
            ("USDC", "wallet"),
        ),
    ],
    ids=["dydx", "pacifica"],
)
async def test_where_an_address_is_all_that_is_needed_it_is_asked_for_and_used(
    site: Site, venues: Venues, exchange: str, wallet: Wallet, asked: str, answer: Any, told: tuple[str, str]
) -> None:
    site.answers[asked.partition("?")[0]] = answer
    one = account(venues, site, exchange, "dydx1abc")
    try:
        snapshot = await one.read(wallet)
    finally:
        await one.close()
    assert (*snapshot.amounts, snapshot.measure) == told
    assert asked in site.asked
