"""Ccxt's unified positions and funding payments, as ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.clients.exchange.dialects.told import Placed
from indexer.clients.exchange.dialects.values import milliseconds, number, required
from indexer.domain.accounts.arrivals import Funding, Position
from indexer.errors import BadAnswer


def placed(found: Mapping[str, Any]) -> Placed:
    """Ccxt's unified position."""
    return Placed(_position(found), milliseconds(found.get("lastUpdateTimestamp")))


def _position(found: Mapping[str, Any]) -> Position:
    contracts, side = required(found, "contracts"), found.get("side")
    if not contracts.is_finite():
        raise BadAnswer("a position without a number of contracts")
    if not contracts:
        return Position(str(found["symbol"]), "flat", contracts)
    return Position(
        symbol=str(found["symbol"]),
        side="short" if side == "short" else "long",
        contracts=contracts.copy_abs(),
        entry_price=number(found.get("entryPrice")),
        mark_price=number(found.get("markPrice")),
        unrealized=number(found.get("unrealizedPnl")),
        leverage=number(found.get("leverage")),
        liquidation_price=number(found.get("liquidationPrice")),
        margin_mode=found.get("marginMode"),
    )


def funding_of(found: Mapping[str, Any]) -> Funding:
    """Ccxt's unified funding payment."""
    time = milliseconds(found.get("timestamp"))
    if time is None:
        raise BadAnswer("a funding payment without its time")
    symbol, asset = str(found.get("symbol")), str(found.get("code"))
    # Not every venue numbers them, and hyperliquid's number may be all zeros; of one symbol there is one at a time.
    name = str(found.get("id") or "")
    if not name.removeprefix("0x").strip("0"):
        name = f"{symbol}:{asset}:{int(time.timestamp())}"
    return Funding(name, symbol, asset, required(found, "amount"), time)
