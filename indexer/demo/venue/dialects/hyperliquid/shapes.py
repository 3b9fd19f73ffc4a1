"""Hyperliquid's two states of an account: REST and the socket tell them in the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from indexer.demo.venue.state import EXACT, ZERO, AccountState, FundingFee, Holding, Position

_UNITS = ("BTC", "ETH", "SOL")
"""Coins of other chains are called UBTC, UETH, USOL here."""


def token_name(asset: str) -> str:
    return f"U{asset}" if asset in _UNITS else asset


def spot_state(state: AccountState, numbers: Mapping[str, int]) -> dict[str, Any]:
    return {
        "balances": [
            {
                "coin": token_name(asset),
                "token": numbers.get(asset, 0),
                "total": each.total,
                "hold": each.used,
                "entryNtl": ZERO,
            }
            for asset, each in state.holdings("spot").items()
        ]
    }


def perpetual_state(state: AccountState) -> dict[str, Any]:
    """There is USDC only; its account value has the unrealised profit."""
    held = state.holdings("futures").get("USDC", Holding())
    unrealised = state.unrealised("USDC")
    notional = sum((abs(each.notional) for each in state.positions.values()), ZERO)
    summary = {
        "accountValue": EXACT.add(held.total, unrealised),
        "totalNtlPos": notional,
        "totalRawUsd": held.total,
        "totalMarginUsed": held.used,
    }
    return {
        "marginSummary": summary,
        "crossMarginSummary": summary,
        "crossMaintenanceMarginUsed": EXACT.multiply(notional, Decimal("0.0125")),
        "withdrawable": held.free,
        "assetPositions": [_position(each) for each in state.positions.values()],
        "time": state.time_ms,
    }


def funding(fee: FundingFee) -> dict[str, Any]:
    coin = fee.symbol.partition("/")[0]
    delta = {"type": "funding", "coin": coin, "usdc": fee.amount, "szi": ZERO, "fundingRate": "0.0000125"}
    return {"time": fee.time_ms, "hash": f"0x{fee.number:064x}", "delta": {**delta, "nSamples": None}}


def _position(position: Position) -> dict[str, Any]:
    return {
        "type": "oneWay",
        "position": {
            "coin": position.symbol.partition("/")[0],
            "szi": position.size,
            "leverage": {"type": "cross", "value": position.leverage},
            "entryPx": position.entry_price,
            "positionValue": abs(position.notional),
            "unrealizedPnl": position.unrealised,
            "returnOnEquity": ZERO,
            "liquidationPx": None,
            "marginUsed": position.margin,
            "maxLeverage": 40,
            "cumFunding": {"allTime": ZERO, "sinceOpen": ZERO, "sinceChange": ZERO},
        },
    }
