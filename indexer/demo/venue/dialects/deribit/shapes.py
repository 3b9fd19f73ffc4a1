"""Deribit's portfolio of a currency and its positions: REST and the socket tell them in the same shape."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from indexer.demo.venue.markets import Pair
from indexer.demo.venue.state import EXACT, ZERO, Account, AccountState, Holding, Position

CURRENCIES = ("BTC", "ETH", "SOL", "USDC", "USDT")
_MAINTENANCE = Decimal("0.01")


def instrument_name(symbol: str) -> str:
    return f"{symbol.partition(':')[0].replace('/', '_')}-PERPETUAL"


def summary(state: AccountState, asset: str) -> dict[str, Any]:
    """`available_funds` and `maintenance_margin` are not two parts of `equity`."""
    held = state.holdings("futures").get(asset, Holding())
    unrealised = state.unrealised(asset)
    equity = EXACT.add(held.total, unrealised)
    mine = [each for each in state.positions.values() if each.settle == asset]
    maintenance = sum((_maintenance(each) for each in mine), ZERO)
    available = EXACT.add(held.free, unrealised)
    return {
        "currency": asset,
        "balance": held.total,
        "equity": equity,
        "margin_balance": equity,
        "available_funds": available,
        "available_withdrawal_funds": held.free,
        "initial_margin": held.used,
        "maintenance_margin": maintenance,
        "projected_initial_margin": held.used,
        "projected_maintenance_margin": maintenance,
        "fee_balance": 0,
        "spot_reserve": 0,
        "additional_reserve": 0,
        "cross_collateral_enabled": False,
        "portfolio_margining_enabled": False,
        "margin_model": "segregated_sm",
        "delta_total": 0,
        "total_pl": unrealised,
        "session_upl": unrealised,
        "session_rpl": 0,
        "futures_pl": unrealised,
        "futures_session_upl": unrealised,
        "futures_session_rpl": 0,
        "options_pl": 0,
        "options_value": 0,
        "options_delta": 0,
        "options_gamma": 0,
        "options_theta": 0,
        "options_vega": 0,
        "options_session_upl": 0,
        "options_session_rpl": 0,
    }


def position_data(position: Position) -> dict[str, Any]:
    side = "buy" if position.size > 0 else "sell" if position.size < 0 else "zero"
    return {
        "instrument_name": instrument_name(position.symbol),
        "kind": "future",
        "direction": side,
        "size": position.size,
        "size_currency": position.size,
        "average_price": position.entry_price,
        "mark_price": position.mark_price,
        "index_price": position.mark_price,
        "settlement_price": position.entry_price,
        "floating_profit_loss": position.unrealised,
        "realized_profit_loss": 0,
        "realized_funding": 0,
        "total_profit_loss": position.unrealised,
        "initial_margin": position.margin,
        "maintenance_margin": _maintenance(position),
        "open_orders_margin": 0,
        "delta": position.size,
        "leverage": position.leverage,
        "estimated_liquidation_price": 0,
    }


def instrument(pair: Pair) -> dict[str, Any]:
    return {
        "instrument_name": instrument_name(pair.symbol),
        "instrument_type": "linear",
        "kind": "future",
        "future_type": "linear",
        "settlement_period": "perpetual",
        "base_currency": pair.base,
        "counter_currency": pair.quote,
        "quote_currency": pair.quote,
        "settlement_currency": pair.settle,
        "price_index": f"{pair.base}_{pair.quote}".lower(),
        "tick_size": 0.5,
        "min_trade_amount": 0.001,
        "contract_size": 0.001,
        "taker_commission": 0.0005,
        "maker_commission": 0.0,
        "max_leverage": 50,
        "is_active": True,
        "state": "open",
        "expiration_timestamp": 32503708800000,
        "creation_timestamp": 1534242287000,
    }


def _maintenance(position: Position) -> Decimal:
    return EXACT.multiply(abs(position.notional), _MAINTENANCE)


def granted(account: Account) -> dict[str, Any]:
    """What a key is told that logs in: a token, and what it may do."""
    writes = "read_write" if "trade" in account.permissions else "read"
    wallet = "read_write" if "withdraw" in account.permissions else "read"
    return {
        "access_token": f"{account.number}.access",
        "refresh_token": f"{account.number}.refresh",
        "expires_in": 31536000,
        "scope": f"account:read connection mainaccount trade:{writes} wallet:{wallet}",
        "token_type": "bearer",
        "enabled_features": [],
    }
