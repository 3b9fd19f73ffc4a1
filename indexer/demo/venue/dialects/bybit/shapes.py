"""Bybit's coins, positions and executions: REST and the private topics tell them in the same shape."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from indexer.demo.venue.state import EXACT, ZERO, AccountState, FundingFee, Holding, Position


def market_id(symbol: str) -> str:
    return symbol.partition(":")[0].replace("/", "")


def wallet_data(state: AccountState, assets: Iterable[str]) -> dict[str, Any]:
    """The unified account with these coins."""
    held = state.holdings("unified")
    return {
        "accountIMRate": "0",
        "accountMMRate": "0",
        "accountLTV": "0",
        "totalEquity": "0",
        "totalWalletBalance": "0",
        "totalMarginBalance": "0",
        "totalAvailableBalance": "0",
        "totalPerpUPL": "0",
        "totalInitialMargin": "0",
        "totalMaintenanceMargin": "0",
        "accountType": "UNIFIED",
        "coin": [_coin(state, asset, held.get(asset, Holding())) for asset in assets],
    }


def _coin(state: AccountState, asset: str, held: Holding) -> dict[str, Any]:
    """`equity` has the unrealised profit, `walletBalance` has not; what can be withdrawn is no longer told."""
    unrealised = state.unrealised(asset)
    margin = sum((each.margin for each in state.positions.values() if each.settle == asset), ZERO)
    return {
        "coin": asset,
        "equity": EXACT.add(held.total, unrealised),
        "usdValue": "0",
        "walletBalance": held.total,
        "free": "",
        "locked": EXACT.subtract(held.used, margin),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "borrowAmount": held.debt,
        "accruedInterest": ZERO,
        "totalOrderIM": ZERO,
        "totalPositionIM": margin,
        "totalPositionMM": ZERO,
        "unrealisedPnl": unrealised,
        "cumRealisedPnl": ZERO,
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "spotHedgingQty": "0",
    }


def position_data(position: Position) -> dict[str, Any]:
    side = "Buy" if position.size > 0 else "Sell" if position.size < 0 else ""
    return {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "150",
        "symbol": market_id(position.symbol),
        "category": "linear",
        "side": side,
        "size": abs(position.size),
        "avgPrice": position.entry_price,
        "entryPrice": position.entry_price,
        "positionValue": abs(EXACT.multiply(position.size, position.entry_price)),
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 2,
        "leverage": str(position.leverage),
        "positionBalance": "0",
        "markPrice": position.mark_price,
        "liqPrice": "",
        "bustPrice": "",
        "positionMM": EXACT.multiply(abs(position.notional), Decimal("0.005")),
        "positionIM": position.margin,
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": position.unrealised,
        "cumRealisedPnl": "0",
        "seq": position.updated_ms,
        "createdTime": str(position.opened_ms),
        "updatedTime": str(position.updated_ms),
    }


def funding_execution(fee: FundingFee) -> dict[str, Any]:
    """Bybit counts what was paid: a fee of ours that is negative is positive here."""
    return {
        "category": "linear",
        "symbol": market_id(fee.symbol),
        "orderId": "",
        "orderLinkId": "",
        "side": "Sell",
        "execFee": EXACT.minus(fee.amount),
        "execId": f"funding-{fee.number}",
        "execPrice": "0",
        "execQty": "0",
        "execType": "Funding",
        "execValue": "0",
        "execTime": str(fee.time_ms),
        "feeCurrency": "",
        "feeRate": "0.0001",
        "isMaker": False,
    }
