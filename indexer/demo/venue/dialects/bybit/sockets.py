"""Bybit's private topics: no snapshot is ever sent, only what changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from indexer.demo.venue.dialects.base import Desk, Frame, Session
from indexer.demo.venue.dialects.bybit.shapes import funding_execution, position_data, wallet_data
from indexer.demo.venue.signing import hmac_of, number, same
from indexer.demo.venue.state import Account, Change

_CONNECTION = "cfcb4ocsvfriu23r3er0-1b"
_TOPICS = ("wallet", "position", "execution")


class BybitSession(Session):
    """auth, then topics."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._account: Account | None = None
        self._topics: frozenset[str] = frozenset()

    @property
    def account(self) -> Account | None:
        return self._account

    def heard(self, text: str) -> Iterable[Frame]:
        try:
            ask = orjson.loads(text)
        except orjson.JSONDecodeError:
            ask = {}
        args = ask.get("args") or []
        match ask.get("op"):
            case "ping":
                told = {"op": "pong", "args": [str(self._desk.now_ms())], "conn_id": _CONNECTION}
                return [Frame({"req_id": ask.get("req_id", ""), **told})]
            case "auth":
                return [self._authenticate(args)]
            case "subscribe":
                return [self._subscribe(ask, args)]
            case "unsubscribe":
                self._topics -= set(args)
                return [self._answer(ask, "")]
            case _:
                return [self._answer(ask, "error:invalid op")]

    def told(self, change: Change) -> Iterable[Frame]:
        if self._account is None or change.account.name != self._account.name:
            return
        moved = [move.asset for move in change.moved("unified")]
        if "wallet" in self._topics and moved:
            yield self._push("wallet", [wallet_data(change.state, moved)], change)
        if "position" in self._topics and change.positions:
            yield self._push("position", [position_data(each) for each in change.positions], change)
        if "execution" in self._topics and change.fee is not None:
            yield self._push("execution", [funding_execution(change.fee)], change)

    def _push(self, topic: str, data: list[dict[str, Any]], change: Change) -> Frame:
        number_of = f"{change.account.number}_{topic}_{change.seq}"
        return Frame({"id": number_of, "topic": topic, "creationTime": change.time_ms, "data": data}, "delta")

    def _authenticate(self, args: list[Any]) -> Frame:
        key, expires, signature = (*(str(arg) for arg in args), "", "", "")[:3]
        account = self._desk.keys.find("bybit", key)
        why = ""
        if account is None or self._desk.keys.is_expired(account):
            why = "API key is invalid."
        elif number(expires) < self._desk.now_ms():
            why = "Params Error"
        elif not same(signature, hmac_of(account.secret, f"GET/realtime{expires}")):
            why = "error:signature verification failed."
        self._account = None if why else account
        return self._answer({"op": "auth"}, why)

    def _subscribe(self, ask: dict[str, Any], topics: list[str]) -> Frame:
        if self._account is None:
            return self._answer(ask, "Request not authorized")
        unknown = [topic for topic in topics if topic not in _TOPICS]
        if unknown:
            return self._answer(ask, f"error:handler not found,topic:{unknown[0]}")
        self._topics |= set(topics)
        return self._answer(ask, "")

    @staticmethod
    def _answer(ask: dict[str, Any], why: str) -> Frame:
        told = {"success": not why, "ret_msg": why, "op": ask.get("op", ""), "conn_id": _CONNECTION}
        return Frame({**({"req_id": ask["req_id"]} if "req_id" in ask else {}), **told})
