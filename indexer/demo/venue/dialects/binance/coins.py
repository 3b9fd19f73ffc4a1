"""Binance's coin-margined futures: the wallet, without positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.demo.venue.dialects.base import Ask, Desk, Route
from indexer.demo.venue.dialects.binance.futures import contract, margin_asset
from indexer.demo.venue.dialects.binance.limits import coin_futures
from indexer.demo.venue.markets import Pair

_PAIRS = (Pair("BTC", "USD", "BTC"), Pair("ETH", "USD", "ETH"))


def routes(desk: Desk) -> Mapping[tuple[str, str], Route]:
    symbols = [{**contract(pair), "symbol": f"{pair.base}USD_PERP", "contractSize": 100} for pair in _PAIRS]

    def clock(_: Ask) -> Any:
        return {"serverTime": desk.now_ms()}

    def exchange_info(_: Ask) -> Any:
        return {"timezone": "UTC", "serverTime": desk.now_ms(), "rateLimits": [], "symbols": symbols}

    return {
        ("GET", "/dapi/v1/time"): Route(clock, coin_futures(1), signed=False),
        ("GET", "/dapi/v1/exchangeInfo"): Route(exchange_info, coin_futures(1), signed=False),
        ("GET", "/dapi/v1/account"): Route(_account, coin_futures(5)),
        ("GET", "/dapi/v1/positionRisk"): Route(lambda _: [], coin_futures(1)),
        ("GET", "/dapi/v2/leverageBracket"): Route(lambda _: [], coin_futures(1)),
        ("GET", "/dapi/v1/income"): Route(lambda _: [], coin_futures(20)),
    }


def _account(ask: Ask) -> Any:
    state = ask.shown
    return {
        "feeTier": 0,
        "canTrade": "trade" in ask.owner.permissions,
        "canDeposit": True,
        "canWithdraw": "withdraw" in ask.owner.permissions,
        "updateTime": 0,
        "assets": [margin_asset(state, "coin_futures", asset) for asset in state.holdings("coin_futures")],
        "positions": [],
    }
