"""Binance spot: the market list, the clock and the spot account."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson

from indexer.demo.venue.dialects.base import Ask, Desk, Route
from indexer.demo.venue.dialects.binance.limits import spot
from indexer.demo.venue.markets import Markets, Pair
from indexer.demo.venue.state import AccountState, Holding


def routes(desk: Desk) -> Mapping[tuple[str, str], Route]:
    listed = cache(lambda: orjson.Fragment(orjson.dumps([_symbol(pair) for pair in desk.markets.spot])))

    def exchange_info(ask: Ask) -> Any:  # noqa: ARG001 - the same for everyone
        return {
            "timezone": "UTC",
            "serverTime": desk.now_ms(),
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
                {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
            ],
            "exchangeFilters": [],
            "symbols": listed(),
        }

    def account(ask: Ask) -> Any:
        return account_status(ask.shown, desk.markets, ask.owner.number, ask.owner.permissions, ask.params)

    return {
        ("GET", "/api/v3/ping"): Route(lambda _: {}, spot(1), signed=False),
        ("GET", "/api/v3/time"): Route(lambda _: {"serverTime": desk.now_ms()}, spot(1), signed=False),
        ("GET", "/api/v3/exchangeInfo"): Route(exchange_info, spot(20), signed=False),
        ("GET", "/api/v3/account"): Route(account, spot(20)),
    }


def account_status(
    state: AccountState, markets: Markets, number: int, permissions: frozenset[str], params: Mapping[str, Any]
) -> Any:
    """The spot account, as REST and the socket's `account.status` tell it."""
    held = state.holdings("spot")
    if str(params.get("omitZeroBalances", "")).lower() == "true":
        listed = {asset: each for asset, each in held.items() if each.total}
    else:
        listed = with_zeros(held, markets)
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000"},
        "canTrade": "trade" in permissions,
        "canWithdraw": "withdraw" in permissions,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": state.time_ms,
        "accountType": "SPOT",
        "balances": [{"asset": asset, "free": each.free, "locked": each.used} for asset, each in listed.items()],
        "permissions": ["SPOT"],
        "uid": number,
    }


def with_zeros(held: Mapping[str, Holding], markets: Markets) -> dict[str, Holding]:
    """Binance lists coins that one never had, too; an account that never had any is given an empty list here."""
    return {**{asset: Holding() for asset in markets.assets[:10]}, **held} if held else {}


def _symbol(pair: Pair) -> dict[str, Any]:
    return {
        "symbol": f"{pair.base}{pair.quote}",
        "status": "TRADING",
        "baseAsset": pair.base,
        "baseAssetPrecision": 8,
        "quoteAsset": pair.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.0", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "avgPriceMins": 5},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
    }
