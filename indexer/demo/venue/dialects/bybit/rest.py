"""Bybit over REST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import orjson

from indexer.demo.venue.dialects.base import Ask, Desk, Refused, Route
from indexer.demo.venue.dialects.bybit.shapes import funding_execution, market_id, position_data, wallet_data
from indexer.demo.venue.markets import Pair
from indexer.demo.venue.weights import Budget, Cost

_SPAN_MS = 7 * 86_400_000
_PER_IP = Cost(Budget("requests per ip", 600, 5), 1)


def routes(desk: Desk) -> Mapping[tuple[str, str], Route]:
    spot = cache(lambda: orjson.Fragment(orjson.dumps([_spot(pair) for pair in desk.markets.spot])))
    swaps = cache(lambda: orjson.Fragment(orjson.dumps([_swap(pair) for pair in desk.markets.swaps])))

    def enveloped(answer: Callable[[Ask], Any]) -> Callable[[Ask], Any]:
        def whole(ask: Ask) -> Any:
            return {"retCode": 0, "retMsg": "OK", "result": answer(ask), "retExtInfo": {}, "time": desk.now_ms()}

        return whole

    def instruments(ask: Ask) -> Any:
        category = ask.params.get("category", "")
        kinds: dict[str, Callable[[], Any]] = {"spot": spot, "linear": swaps}
        listed = list if ask.params.get("status") == "PreLaunch" else kinds.get(category, list)
        return {"category": category, "list": listed(), "nextPageCursor": ""}

    def clock(_: Ask) -> Any:
        now = desk.now_ms()
        return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}

    def coins(_: Ask) -> Any:
        return {"rows": [_currency(asset) for asset in desk.markets.assets]}

    def signed(name: str, limit: int, answer: Callable[[Ask], Any]) -> Route:
        return Route(enveloped(answer), (_PER_IP, Cost(Budget(name, limit, 1, per="key"), 1)))

    return {
        ("GET", "/v5/market/time"): Route(enveloped(clock), (_PER_IP,), signed=False),
        ("GET", "/v5/market/instruments-info"): Route(enveloped(instruments), (_PER_IP,), signed=False),
        ("GET", "/v5/user/query-api"): signed("query-api", 10, _key),
        ("GET", "/v5/account/info"): signed("account/info", 50, _info),
        ("GET", "/v5/account/wallet-balance"): signed("wallet-balance", 50, _wallet),
        ("GET", "/v5/asset/transfer/query-account-coins-balance"): signed("coins-balance", 5, _funding),
        ("GET", "/v5/asset/coin/query-info"): signed("query-info", 5, coins),
        ("GET", "/v5/position/list"): signed("position/list", 50, _positions),
        ("GET", "/v5/execution/list"): signed("execution/list", 50, _executions),
        ("GET", "/v5/earn/position"): signed("earn/position", 10, _earn),
    }


def _key(ask: Ask) -> Any:
    granted = ask.owner.permissions
    trades = "trade" in granted
    return {
        "id": str(ask.owner.number),
        "note": ask.owner.name,
        "apiKey": ask.owner.api_key,
        "readOnly": int(granted == {"read"}),
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"] if trades else [],
            "Spot": ["SpotTrade"] if trades else [],
            "Wallet": ["AccountTransfer", "Withdraw"] if "withdraw" in granted else [],
            "Options": [],
            "Derivatives": [],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
            "Affiliate": [],
            "Earn": [],
        },
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 83,
        "expiredAt": "2027-05-15T03:21:05Z",
        "createdAt": "2026-10-16T02:24:40Z",
        "unified": 0,
        "uta": 1,
        "userID": ask.owner.number,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "isMaster": True,
    }


def _info(_: Ask) -> Any:
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": "1697078946000",
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def _wallet(ask: Ask) -> Any:
    """Coins with nothing in them are left out, unless they are asked for."""
    asked = ask.params.get("coin", "")
    held = ask.shown.holdings("unified")
    listed = asked.split(",") if asked else [asset for asset, each in held.items() if each.total or each.debt]
    return {"list": [wallet_data(ask.shown, listed)]}


def _funding(ask: Ask) -> Any:
    asked = ask.params.get("coin", "")
    return {
        "memberId": str(ask.owner.number),
        "accountType": ask.params.get("accountType", "FUND"),
        "balance": [
            {"coin": asset, "transferBalance": each.free, "walletBalance": each.total, "bonus": ""}
            for asset, each in ask.shown.holdings("funding").items()
            if not asked or asset in asked.split(",")
        ],
    }


def _earn(ask: Ask) -> Any:
    """What is free in the earn wallet is in flexible savings, the rest is staked on chain."""
    flexible = ask.params.get("category", "FlexibleSaving") == "FlexibleSaving"
    rows = ((asset, each.free if flexible else each.used) for asset, each in ask.shown.holdings("earn").items())
    return {
        "list": [
            {"coin": asset, "productId": "430", "amount": amount, "totalPnl": "0", "claimableYield": "0"}
            for asset, amount in rows
            if amount
        ]
    }


def _positions(ask: Ask) -> Any:
    params = ask.params
    listed = [
        position_data(each)
        for each in ask.shown.positions.values()
        if params.get("category") == "linear"
        and params.get("settleCoin", each.settle) == each.settle
        and params.get("symbol", market_id(each.symbol)) == market_id(each.symbol)
    ]
    return {"category": params.get("category", ""), "list": listed, "nextPageCursor": ""}


def _executions(ask: Ask) -> Any:
    """Newest first, page by page; only funding is kept."""
    params = ask.params
    size, start = min(int(params.get("limit", "50")), 100), int(params.get("cursor", "0") or "0")
    since, until = _span(params, ask.shown.time_ms)
    fees = [
        fee
        for fee in reversed(ask.shown.fees)
        if params.get("execType", "Funding") == "Funding"
        and params.get("category") == "linear"
        and since <= fee.time_ms <= until
        and params.get("symbol", market_id(fee.symbol)) == market_id(fee.symbol)
    ]
    page = [funding_execution(fee) for fee in fees[start : start + size]]
    following = str(start + size) if len(fees) > start + size else ""
    return {"category": "linear", "list": page, "nextPageCursor": following}


def _span(params: Mapping[str, str], now: int) -> tuple[int, int]:
    """Seven days: those that end now, or from or up to the one time that is given; two further apart are refused."""
    start, end = params.get("startTime"), params.get("endTime")
    if start is not None and end is not None:
        if int(end) - int(start) > _SPAN_MS:
            told = {"retCode": 10001, "retMsg": "The time range between startTime and endTime is up to 7 days."}
            raise Refused({**told, "result": {}, "retExtInfo": {}, "time": now}, 200)
        return int(start), int(end)
    if start is not None:
        return int(start), int(start) + _SPAN_MS
    until = now if end is None else int(end)
    return until - _SPAN_MS, until


def _spot(pair: Pair) -> dict[str, Any]:
    return {
        "symbol": f"{pair.base}{pair.quote}",
        "baseCoin": pair.base,
        "quoteCoin": pair.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "both",
        "lotSizeFilter": {
            "basePrecision": "0.000001",
            "quotePrecision": "0.00000001",
            "minOrderQty": "0.00004",
            "maxOrderQty": "63.01197227",
            "minOrderAmt": "1",
            "maxOrderAmt": "100000",
        },
        "priceFilter": {"tickSize": "0.01"},
    }


def _swap(pair: Pair) -> dict[str, Any]:
    return {
        "symbol": f"{pair.base}{pair.quote}",
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": pair.base,
        "quoteCoin": pair.quote,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.50", "maxPrice": "999999.00", "tickSize": "0.50"},
        "lotSizeFilter": {"maxOrderQty": "100.000", "minOrderQty": "0.001", "qtyStep": "0.001"},
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": pair.settle,
    }


def _currency(asset: str) -> dict[str, Any]:
    return {
        "name": asset,
        "coin": asset,
        "remainAmount": "150",
        "chains": [
            {
                "chainType": "ERC20",
                "confirmation": "12",
                "withdrawFee": "0.8",
                "depositMin": "0",
                "withdrawMin": "2",
                "chain": "ETH",
                "chainDeposit": "1",
                "chainWithdraw": "1",
                "minAccuracy": "8",
            }
        ],
    }
