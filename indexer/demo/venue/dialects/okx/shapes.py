"""OKX's account and positions: REST and the private channels tell them in the same shape."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from indexer.demo.venue.state import EXACT, AccountState, Holding, Position

CONTRACT = Decimal("0.01")


def instrument_id(symbol: str) -> str:
    return f"{symbol.partition(':')[0].replace('/', '-')}-SWAP"


def account_data(state: AccountState, assets: Iterable[str]) -> dict[str, Any]:
    """The trading account with these assets in its details."""
    held = state.holdings("unified")
    return {
        "adjEq": "",
        "availEq": "",
        "borrowFroz": "",
        "details": [_detail(state, asset, held.get(asset, Holding())) for asset in assets],
        "imr": "",
        "isoEq": "0",
        "mgnRatio": "",
        "mmr": "",
        "notionalUsd": "",
        "ordFroz": "",
        "totalEq": "0",
        "uTime": str(state.time_ms),
        "upl": "",
    }


def _detail(state: AccountState, asset: str, held: Holding) -> dict[str, Any]:
    unrealised = state.unrealised(asset)
    return {
        "availBal": held.free,
        "availEq": EXACT.add(held.free, unrealised),
        "cashBal": held.total,
        "ccy": asset,
        "crossLiab": held.debt,
        "disEq": "0",
        "eq": EXACT.add(held.total, unrealised),
        "eqUsd": "0",
        "fixedBal": "0",
        "frozenBal": held.used,
        "imr": "0",
        "interest": "0",
        "isoEq": "0",
        "isoLiab": "0",
        "isoUpl": "0",
        "liab": held.debt,
        "maxLoan": "0",
        "mgnRatio": "",
        "mmr": "0",
        "notionalLever": "0",
        "ordFrozen": held.used,
        "rewardBal": "0",
        "spotInUseAmt": "",
        "spotIsoBal": "0",
        "stgyEq": "0",
        "twap": "0",
        "uTime": str(state.changed("unified", asset)),
        "upl": unrealised,
        "uplLiab": "0",
    }


def position_data(position: Position) -> dict[str, Any]:
    return {
        "adl": "1",
        "availPos": "",
        "avgPx": position.entry_price,
        "cTime": str(position.opened_ms),
        "ccy": position.settle,
        "closeOrderAlgo": [],
        "imr": position.margin,
        "instId": instrument_id(position.symbol),
        "instType": "SWAP",
        "interest": "",
        "last": position.mark_price,
        "lever": str(position.leverage),
        "liab": "",
        "liabCcy": "",
        "liqPx": "",
        "markPx": position.mark_price,
        "margin": "",
        "mgnMode": "cross",
        "mgnRatio": "100",
        "mmr": EXACT.multiply(abs(position.notional), Decimal("0.004")),
        "notionalUsd": abs(position.notional),
        "optVal": "",
        "pos": EXACT.divide(position.size, CONTRACT),
        "posCcy": "",
        "posId": str(position.opened_ms),
        "posSide": "net",
        "tradeId": "1",
        "uTime": str(position.updated_ms),
        "upl": position.unrealised,
        "uplRatio": "0",
    }
