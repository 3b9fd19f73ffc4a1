"""Kraken: spot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from indexer.clients.exchange.dialects.dialect import KNOCK, Dialect, Limits, WalletKind
from indexer.clients.exchange.dialects.naming import told_apart, usual_name
from indexer.clients.exchange.dialects.told import Exchange, Found, Told
from indexer.clients.exchange.dialects.values import added, code_of, name_of, rows_of, stated, taken
from indexer.clients.exchange.throttle import Limit
from indexer.clients.exchange.unreadable import amount
from indexer.domain.accounts.amounts import Amounts, Wallet
from indexer.errors import BadAnswer

_ORDERS: Final = "executions"


class Kraken(Dialect):
    """Frames tell totals only, as JSON numbers; REST has names of its own for the older coins."""

    async def read(self, exchange: Exchange, wallet: Wallet) -> Found:  # noqa: ARG002 - there is one
        answer = await exchange.privatePostBalanceEx()
        result = answer.get("result") if isinstance(answer, Mapping) else None
        if not isinstance(result, Mapping) or not all(isinstance(row, Mapping) for row in result.values()):
            raise BadAnswer("an answer without result")
        # What one ever had stays on the list, as zero.
        rows = ((name, usual_name(exchange, name), _amounts(row)) for name, row in result.items())
        return stated(Found(told_apart(rows)))

    async def subscribe(self, exchange: Exchange, wallet: Wallet) -> None:  # noqa: ARG002 - there is one
        await exchange.watch_balance()

    async def renew(self, exchange: Exchange, wallet: Wallet) -> None:  # noqa: ARG002 - there is one
        token = await exchange.authenticate()
        client = exchange.client(exchange.urls["api"]["ws"]["privateV2"])
        for method in ("unsubscribe", "subscribe"):
            params = {"channel": "balances", "token": token}
            await client.send({"method": method, "params": params, "req_id": exchange.request_id()})

    async def ask_for_orders(self, exchange: Exchange) -> None:
        """A key that may not ask for orders is refused, and goes on telling balances."""
        params = {"channel": _ORDERS, "snap_orders": False, "snap_trades": False}
        params["token"] = await exchange.authenticate()
        client = exchange.client(exchange.urls["api"]["ws"]["privateV2"])
        await client.send({"method": "subscribe", "params": params, "req_id": KNOCK})

    def is_answer(self, message: Any) -> bool:
        return isinstance(message, Mapping) and message.get("req_id") == KNOCK

    def is_ours(self, message: Any) -> bool:
        return isinstance(message, Mapping) and message.get("channel") == _ORDERS

    def is_acknowledged(self, message: Any) -> bool:
        if not isinstance(message, Mapping):
            return False
        return message.get("method") == "subscribe" and message.get("success") is True

    def told(self, exchange: Exchange, wallet: Wallet, message: Any) -> Told | None:  # noqa: ARG002
        if self.is_ours(message):
            return Told(orders=True)  # as its first one: there may have been some before
        if not isinstance(message, Mapping) or message.get("channel") != "balances":
            return None
        found: list[tuple[str, str, Amounts]] = []
        times: list[datetime] = []
        for row in rows_of(message, "data"):
            for one in (row, *rows_of(row, "wallets")) if "wallets" in row else (row,):
                # Earn has wallets of its own in here, and names of its own over REST.
                if (one.get("wallet_type", one.get("type")), one.get("wallet_id", one.get("id"))) == ("spot", "main"):
                    total = Amounts(total=amount(one.get("balance")))
                    found.append((name_of(row, "asset"), code_of(exchange, row, "asset"), total))
            if isinstance(row.get("timestamp"), str):
                times.append(datetime.fromisoformat(row["timestamp"]))
        return Told(
            told_apart(found),
            venue_time=max(times, default=None),
            number=_integer(message.get("sequence")),
            is_first=message.get("type") == "snapshot",
        )


KRAKEN: Final = Kraken(
    exchange="kraken",
    wallets={"spot": WalletKind(is_streamed=True)},
    # Each call counts 1, for ccxt 3, on a counter that goes to 15 and loses a third a second.
    limits=Limits(key=Limit(60, 60, burst=45)),
    needs_markets=True,
    tells_again=True,
    asks_for_orders=True,
)


def _integer(found: Any) -> int | None:
    return found if isinstance(found, int) else None


def _amounts(row: Mapping[str, Any]) -> Amounts:
    total, used = amount(row.get("balance")), amount(row.get("hold_trade"))
    credit, owed = (amount(row.get(name)) or Decimal(0) for name in ("credit", "credit_used"))
    free = taken(taken(added(total, credit), owed), used)
    return Amounts(free, used, total)
