"""Deribit: one margin account per currency."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from indexer.clients.exchange.dialects.dialect import KNOCK, Dialect, Limits, WalletKind
from indexer.clients.exchange.dialects.told import Exchange, Found, Placed, Told
from indexer.clients.exchange.dialects.unified import placed
from indexer.clients.exchange.dialects.values import by_asset, code_of, rows_of, stated
from indexer.clients.exchange.throttle import Limit
from indexer.clients.exchange.unreadable import amount
from indexer.domain.accounts.amounts import Amounts, Wallet
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.validation import Exceptions
from indexer.errors import BadAnswer

_PORTFOLIO: Final = "user.portfolio."
_CHANGES: Final = "user.changes."


class Deribit(Dialect):
    """`balance` and not `equity`; what is free and what is used never add up to either."""

    async def read(self, exchange: Exchange, wallet: Wallet) -> Found:  # noqa: ARG002 - there is one
        rows = rows_of(await exchange.privateGetGetAccountSummaries(), "result", "summaries")
        return stated(Found(by_asset(exchange, rows, "currency", _amounts)))

    async def subscribe(self, exchange: Exchange, wallet: Wallet) -> None:  # noqa: ARG002 - there is one
        await exchange.watch_balance()

    def knock(self, wallet: Wallet) -> Mapping[str, Any]:  # noqa: ARG002 - there is one
        return {"jsonrpc": "2.0", "id": KNOCK, "method": "public/test", "params": {}}

    def is_acknowledged(self, message: Any) -> bool:
        result = message.get("result") if isinstance(message, Mapping) else None
        return isinstance(result, list) and any(str(each).startswith(_PORTFOLIO) for each in result)

    def is_ours(self, message: Any) -> bool:
        params = message.get("params") if isinstance(message, Mapping) else None
        return isinstance(params, Mapping) and str(params.get("channel", "")).startswith(_CHANGES)

    def ask_for_positions(self) -> Mapping[str, Any] | None:
        asked = {"channels": [f"{_CHANGES}any.any.raw"]}
        return {"jsonrpc": "2.0", "id": KNOCK, "method": "private/subscribe", "params": asked}

    def told(self, exchange: Exchange, wallet: Wallet, message: Any) -> Told | None:  # noqa: ARG002
        params = message.get("params") if isinstance(message, Mapping) else None
        if self.is_ours(message):
            return Told(positions=tuple(rows_of(params, "data", "positions")))
        if not isinstance(params, Mapping) or not str(params.get("channel", "")).startswith(_PORTFOLIO):
            return None
        [row] = rows_of([params.get("data")])
        return Told({code_of(exchange, row, "currency"): _amounts(row)})

    async def permissions(self, exchange: Exchange) -> Permissions:
        """Only who logs in is told; over REST each request is signed by itself, and nobody does."""
        await super().permissions(exchange)
        told = await exchange.publicGetAuth(_login(exchange))
        result = told.get("result") if isinstance(told, Mapping) else None
        if not isinstance(result, Mapping) or not isinstance(result.get("scope"), str):
            raise BadAnswer("an answer without scope")
        scope = result["scope"].split()
        return Permissions(can_trade="trade:read_write" in scope, can_withdraw="wallet:read_write" in scope)

    async def positions(self, exchange: Exchange) -> tuple[Placed, ...]:
        rows = rows_of(await exchange.privateGetGetPositions(), "result")
        return tuple(placed(exchange.parse_position(row)) for row in rows)


DERIBIT: Final = Deribit(
    exchange="deribit",
    wallets={"futures": WalletKind(is_streamed=True, knock_seconds=5)},
    exceptions=Exceptions(may_be_negative=frozenset({"futures"}), free_is_apart=frozenset({"futures"})),
    # One channel for all currencies; ccxt would subscribe four of them.
    options={"currencies": ["any"]},
    limits=Limits(key=Limit(20, 1)),
    has_positions=True,
)


def _login(exchange: Exchange) -> Mapping[str, str]:
    """Signed, so that the secret itself goes nowhere."""
    told = str(exchange.milliseconds())
    signed = exchange.hmac(exchange.encode(f"{told}\n{told}\n"), exchange.encode(exchange.secret), sha256)
    login = {"grant_type": "client_signature", "client_id": exchange.apiKey, "timestamp": told}
    return {**login, "signature": signed, "nonce": told, "data": ""}


def _amounts(row: Mapping[str, Any]) -> Amounts:
    return Amounts(amount(row.get("available_funds")), amount(row.get("initial_margin")), amount(row.get("balance")))
