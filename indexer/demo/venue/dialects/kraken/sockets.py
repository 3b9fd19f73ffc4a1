"""Kraken's websocket v2: amounts are JSON numbers, only totals, and a heartbeat every second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from indexer.demo.venue.dialects.base import Desk, Frame, Session
from indexer.demo.venue.state import Account, Change, Move

_KINDS = {"deposit": "deposit", "withdraw": "withdrawal", "trade": "trade", "transfer": "transfer"}


class KrakenSession(Session):
    """`balances` numbers its frames, so that one that is missing can be noticed."""

    numbers: ClassVar[bool] = True
    beat_seconds: ClassVar[float] = 1.0

    def __init__(self, desk: Desk, owner: Callable[[str], Account | None]) -> None:
        self._desk = desk
        self._owner = owner
        self._account: Account | None = None
        self._orders_of: Account | None = None
        self._sequence = self._orders = 0

    @property
    def account(self) -> Account | None:
        return self._account

    def opened(self) -> Iterable[Frame]:
        data = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": 6447481662169813000}
        return [Frame({"channel": "status", "type": "update", "data": [data]})]

    def beat(self) -> Iterable[Frame]:
        return [Frame({"channel": "heartbeat"})] if self._account is not None else ()

    def heard(self, text: str) -> Iterable[Frame]:
        try:
            ask = orjson.loads(text)
        except orjson.JSONDecodeError:
            return [Frame({"error": "Malformed request", "success": False})]
        match ask.get("method"):
            case "ping":
                return [self._answer(ask, {"method": "pong"})]
            case "subscribe":
                return self._subscribe(ask)
            case "unsubscribe":
                if (ask.get("params") or {}).get("channel") == "balances":
                    self._account = None
                else:
                    self._orders_of = None
                return [self._answer(ask, {"method": "unsubscribe", "success": True, "result": ask.get("params")})]
            case _:
                return [self._answer(ask, {"error": "Method not found", "success": False})]

    def told(self, change: Change) -> Iterable[Frame]:
        """What is only held for an order changes no total: of it only the channel of orders tells, and not how much."""
        mine = self._orders_of
        if mine is not None and change.account.name == mine.name and change.kind in {"hold", "release"}:
            self._orders += 1
            yield Frame(_executions("update", [_order(change)], self._orders), "delta")
        if self._account is None or change.account.name != self._account.name:
            return
        moves = [move for move in change.moved("spot") if move.delta]
        if moves:
            data = [_update(change, move, index) for index, move in enumerate(moves)]
            yield self._numbered("update", data, "delta")

    def _subscribe(self, ask: dict[str, Any]) -> Iterable[Frame]:
        params = ask.get("params") or {}
        if params.get("channel") not in {"balances", "executions"}:
            yield self._answer(ask, {"error": "Subscription channel not supported", "success": False})
            return
        account = self._owner(str(params.get("token", "")))
        if account is None:
            yield self._answer(ask, {"error": "ESession:Invalid session", "method": "subscribe", "success": False})
            return
        told = {"channel": params["channel"], "snapshot": True}
        yield self._answer(ask, {"method": "subscribe", "result": told, "success": True})
        if params["channel"] == "executions":
            self._orders_of, self._orders = account, 1
            yield Frame(_executions("snapshot", [], 1))
        else:
            self._account, self._sequence = account, 0
            held = self._desk.truth.state(account).holdings("spot")
            yield self._numbered("snapshot", [_whole(asset, each.total) for asset, each in held.items()], "snapshot")

    def _numbered(self, kind: str, data: list[dict[str, Any]], frame: Any) -> Frame:
        self._sequence += 1
        return Frame({"channel": "balances", "type": kind, "data": data, "sequence": self._sequence}, frame)

    def _answer(self, ask: dict[str, Any], told: dict[str, Any]) -> Frame:
        numbered = {"req_id": ask["req_id"]} if "req_id" in ask else {}
        now = _iso(self._desk.now_ms())
        return Frame({**told, "time_in": now, "time_out": now, **numbered})


def _executions(kind: str, data: list[dict[str, Any]], sequence: int) -> dict[str, Any]:
    return {"channel": "executions", "type": kind, "data": data, "sequence": sequence}


def _order(change: Change) -> dict[str, Any]:
    status = "new" if change.kind == "hold" else "canceled"
    return {
        "order_id": f"O{change.seq:05d}-KSTLS-7DZZO5",
        "symbol": "BTC/USD",
        "order_qty": 0.005,
        "cum_cost": 0.0,
        "time_in_force": "GTC",
        "exec_type": status,
        "side": "buy",
        "order_type": "limit",
        "order_userref": 0,
        "limit_price": 26500.0,
        "order_status": status,
        "timestamp": _iso(change.time_ms),
    }


def _whole(asset: str, total: Any) -> dict[str, Any]:
    wallets = [{"type": "spot", "id": "main", "balance": total}]
    return {"asset": asset, "asset_class": "currency", "balance": total, "wallets": wallets}


def _update(change: Change, move: Move, index: int) -> dict[str, Any]:
    return {
        "ledger_id": f"L{change.seq:05d}-{index}",
        "ref_id": f"R{change.seq:05d}",
        "timestamp": _iso(change.time_ms),
        "type": _KINDS.get(change.kind, "adjustment"),
        "asset": move.asset,
        "asset_class": "currency",
        "category": _KINDS.get(change.kind, "adjustment"),
        "wallet_type": "spot",
        "wallet_id": "main",
        "amount": move.delta,
        "fee": 0,
        "balance": move.after.total,
    }


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
