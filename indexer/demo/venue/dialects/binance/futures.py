"""Binance USD-M futures over REST."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import orjson

from indexer.demo.venue.dialects.base import Ask, Desk, Route
from indexer.demo.venue.dialects.binance.limits import futures
from indexer.demo.venue.markets import Pair
from indexer.demo.venue.state import EXACT, ZERO, AccountState, Holding, Position

_FOREVER = 4133404800000
_MAINTENANCE = Decimal("0.004")


def routes(desk: Desk) -> Mapping[tuple[str, str], Route]:
    listed = cache(lambda: orjson.Fragment(orjson.dumps([contract(pair) for pair in desk.markets.swaps])))

    def clock(_: Ask) -> Any:
        return {"serverTime": desk.now_ms()}

    def exchange_info(_: Ask) -> Any:
        return {"timezone": "UTC", "serverTime": desk.now_ms(), "rateLimits": [], "symbols": listed()}

    def brackets(_: Ask) -> Any:
        return [
            {"symbol": f"{pair.base}{pair.quote}", "notionalCoef": "1.00", "brackets": [_bracket()]}
            for pair in desk.markets.swaps
        ]

    return {
        ("GET", "/fapi/v1/ping"): Route(lambda _: {}, futures(1), signed=False),
        ("GET", "/fapi/v1/time"): Route(clock, futures(1), signed=False),
        ("GET", "/fapi/v1/exchangeInfo"): Route(exchange_info, futures(1), signed=False),
        ("GET", "/fapi/v1/leverageBracket"): Route(brackets, futures(1)),
        ("GET", "/fapi/v3/account"): Route(_account, futures(5)),
        ("GET", "/fapi/v2/account"): Route(_account, futures(5)),
        ("GET", "/fapi/v3/balance"): Route(_balance, futures(5)),
        ("GET", "/fapi/v2/balance"): Route(_balance, futures(5)),
        ("GET", "/fapi/v3/positionRisk"): Route(_position_risk, futures(5)),
        ("GET", "/fapi/v2/positionRisk"): Route(_position_risk, futures(5)),
        ("GET", "/fapi/v1/income"): Route(_income, futures(30)),
    }


def market_id(symbol: str) -> str:
    return symbol.partition(":")[0].replace("/", "")


def contract(pair: Pair) -> dict[str, Any]:
    return {
        "symbol": f"{pair.base}{pair.quote}",
        "pair": f"{pair.base}{pair.quote}",
        "contractType": "PERPETUAL",
        "deliveryDate": _FOREVER,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "contractStatus": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": pair.base,
        "quoteAsset": pair.quote,
        "marginAsset": pair.settle,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": [
            {"minPrice": "0.10", "maxPrice": "4529764", "filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"stepSize": "0.001", "filterType": "LOT_SIZE", "maxQty": "1000", "minQty": "0.001"},
            {"notional": "5", "filterType": "MIN_NOTIONAL"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _account(ask: Ask) -> Any:
    state = ask.shown
    assets = [margin_asset(state, "futures", asset) for asset in state.holdings("futures")]
    if assets and not state.holdings("futures").get("BNB"):
        # Binance lists what was never used as well, with a time of zero: not to be believed.
        assets.append({**margin_asset(state, "futures", "BNB"), "updateTime": 0})
    return {
        "totalInitialMargin": _sum(assets, "initialMargin"),
        "totalMaintMargin": _sum(assets, "maintMargin"),
        "totalWalletBalance": _sum(assets, "walletBalance"),
        "totalUnrealizedProfit": _sum(assets, "unrealizedProfit"),
        "totalMarginBalance": _sum(assets, "marginBalance"),
        "totalPositionInitialMargin": _sum(assets, "positionInitialMargin"),
        "totalOpenOrderInitialMargin": _sum(assets, "openOrderInitialMargin"),
        "totalCrossWalletBalance": _sum(assets, "crossWalletBalance"),
        "totalCrossUnPnl": _sum(assets, "crossUnPnl"),
        "availableBalance": _sum(assets, "availableBalance"),
        "maxWithdrawAmount": _sum(assets, "maxWithdrawAmount"),
        "assets": assets,
        "positions": [_account_position(each) for each in state.positions.values()],
    }


def margin_asset(state: AccountState, wallet: str, asset: str) -> dict[str, Any]:
    """One asset of a futures wallet; positions are in the USD-M one."""
    held = state.holdings(wallet).get(asset, Holding())
    mine = [each for each in state.positions.values() if each.settle == asset and wallet == "futures"]
    unrealised = sum((each.unrealised for each in mine), ZERO)
    margin = sum((each.margin for each in mine), ZERO)
    available = max(EXACT.add(held.free, unrealised), ZERO)
    return {
        "asset": asset,
        "walletBalance": held.total,
        "unrealizedProfit": unrealised,
        "marginBalance": EXACT.add(held.total, unrealised),
        "maintMargin": sum((maintenance(each) for each in mine), ZERO),
        "initialMargin": held.used,
        "positionInitialMargin": margin,
        "openOrderInitialMargin": EXACT.subtract(held.used, margin),
        "crossWalletBalance": held.total,
        "crossUnPnl": unrealised,
        "availableBalance": available,
        "maxWithdrawAmount": available,
        "updateTime": state.changed(wallet, asset),
    }


def _balance(ask: Ask) -> Any:
    state = ask.shown
    return [
        {
            "accountAlias": "SgsR",
            "asset": asset,
            "balance": each.total,
            "crossWalletBalance": each.total,
            "crossUnPnl": state.unrealised(asset),
            "availableBalance": max(EXACT.add(each.free, state.unrealised(asset)), ZERO),
            "maxWithdrawAmount": each.free,
            "marginAvailable": True,
            "updateTime": state.changed("futures", asset),
        }
        for asset, each in state.holdings("futures").items()
    ]


def maintenance(position: Position) -> Decimal:
    return EXACT.multiply(abs(position.notional), _MAINTENANCE)


def _account_position(position: Position) -> dict[str, Any]:
    return {
        "symbol": market_id(position.symbol),
        "positionSide": "BOTH",
        "positionAmt": position.size,
        "unrealizedProfit": position.unrealised,
        "isolatedMargin": "0",
        "notional": position.notional,
        "isolatedWallet": "0",
        "initialMargin": position.margin,
        "maintMargin": maintenance(position),
        "updateTime": position.updated_ms,
    }


def _position_risk(ask: Ask) -> Any:
    wanted = ask.params.get("symbol")
    return [
        {
            **_account_position(each),
            "entryPrice": each.entry_price,
            "breakEvenPrice": each.entry_price,
            "markPrice": each.mark_price,
            "unRealizedProfit": each.unrealised,
            "liquidationPrice": "0",
            "marginAsset": each.settle,
            "positionInitialMargin": each.margin,
            "openOrderInitialMargin": "0",
            "adl": 2,
            "bidNotional": "0",
            "askNotional": "0",
        }
        for each in ask.shown.positions.values()
        if wanted in {None, market_id(each.symbol)}
    ]


def _income(ask: Ask) -> Any:
    params = ask.params
    # Without a time it is the last week.
    end = int(params.get("endTime", str(_FOREVER)))
    start = int(params.get("startTime", str(ask.shown.time_ms - 7 * 86_400_000 if end == _FOREVER else 0)))
    wanted = params.get("symbol")
    fees = [
        {
            "symbol": market_id(fee.symbol),
            "incomeType": "FUNDING_FEE",
            "income": fee.amount,
            "asset": fee.asset,
            "time": fee.time_ms,
            "info": "FUNDING_FEE",
            "tranId": fee.number,
            "tradeId": "",
        }
        for fee in ask.shown.fees
        if start <= fee.time_ms <= end and wanted in {None, market_id(fee.symbol)}
    ]
    return (
        fees[: min(int(params.get("limit", "100")), 1000)] if params.get("incomeType") in {None, "FUNDING_FEE"} else []
    )


def _bracket() -> dict[str, Any]:
    return {
        "bracket": 1,
        "initialLeverage": 125,
        "notionalCap": 50000,
        "notionalFloor": 0,
        "maintMarginRatio": 0.004,
    } | {"cum": 0.0}


def _sum(assets: list[dict[str, Any]], field: str) -> Decimal:
    return sum((each[field] for each in assets), ZERO)
