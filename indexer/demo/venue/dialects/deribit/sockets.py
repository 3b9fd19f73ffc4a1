"""Deribit's socket: JSON-RPC both ways, portfolio notifications per currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from indexer.demo.venue.dialects.base import Frame, Refused, Session
from indexer.demo.venue.dialects.deribit.shapes import granted, position_data, summary
from indexer.demo.venue.state import Account, Change

if TYPE_CHECKING:
    from indexer.demo.venue.dialects.deribit.dialect import Deribit

_PORTFOLIO = "user.portfolio."
_CHANGES = "user.changes."


class DeribitSession(Session):
    """public/auth, then channels."""

    numbers: ClassVar[bool] = True

    def __init__(self, dialect: Deribit) -> None:
        self._dialect = dialect
        self._desk = dialect.desk
        self._account: Account | None = None
        self._channels: tuple[str, ...] = ()

    @property
    def account(self) -> Account | None:
        return self._account

    def heard(self, text: str) -> Iterable[Frame]:
        try:
            ask = orjson.loads(text)
        except orjson.JSONDecodeError:
            ask = {}
        try:
            told: dict[str, Any] = {"result": self._answered(str(ask.get("method", "")), ask.get("params") or {})}
        except Refused as refusal:
            told = {"error": refusal.answer.payload["error"]}
        frames = [Frame({**self._dialect.enveloped(told), "id": ask.get("id")})]
        if ask.get("method") == "private/subscribe" and "result" in told:
            frames += self._portfolios(tuple(told["result"]))
        return frames

    def told(self, change: Change) -> Iterable[Frame]:
        if self._account is None or change.account.name != self._account.name:
            return
        moved = {move.asset for move in change.moved("futures")}
        for channel in self._channels:
            if channel.startswith(_PORTFOLIO):
                asset = channel.removeprefix(_PORTFOLIO).upper()
                if asset in moved or asset == "ANY":
                    for each in sorted(moved) if asset == "ANY" else (asset,):
                        yield self._notified(channel, summary(change.state, each), "delta")
            elif change.positions:
                data = {"trades": [], "orders": [], "positions": [position_data(each) for each in change.positions]}
                yield self._notified(channel, data, "delta")

    def closing(self) -> Iterable[Frame]:
        error = {"code": 13009, "message": "unauthorized", "data": {"reason": "invalid_token"}}
        return [Frame({**self._dialect.enveloped({"error": error}), "id": None})]

    def _answered(self, method: str, params: Mapping[str, Any]) -> Any:
        match method:
            case "public/test" | "public/hello":
                return {"version": "1.2.26"}
            case "public/get_time":
                return self._desk.now_ms()
            case "public/auth":
                self._account = self._dialect.authenticated(params)
                return granted(self._account)
            case "private/subscribe" if self._account is not None:
                asked = tuple(str(name).lower() for name in params.get("channels", ()))
                kept = tuple(name for name in asked if name.startswith((_PORTFOLIO, _CHANGES)))
                self._channels = tuple(dict.fromkeys((*self._channels, *kept)))
                return list(kept)
            case "private/unsubscribe_all" if self._account is not None:
                self._channels = ()
                return "ok"
            case _ if method.startswith("private/") and self._account is None:
                raise self._dialect.expired()
            case _:
                raise self._dialect.error({"code": -32601, "message": "Method not found"})

    def _portfolios(self, channels: tuple[str, ...]) -> list[Frame]:
        """The first word on a portfolio comes at once."""
        if self._account is None:
            return []
        state = self._desk.truth.state(self._account)
        held = state.holdings("futures")
        asked = [(name, name.removeprefix(_PORTFOLIO).upper()) for name in channels if name.startswith(_PORTFOLIO)]
        pairs = [(name, each) for name, asset in asked for each in (held if asset == "ANY" else (asset,))]
        return [self._notified(name, summary(state, asset), "snapshot") for name, asset in pairs]

    @staticmethod
    def _notified(channel: str, data: Any, kind: Any) -> Frame:
        told = {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}
        return Frame(told, kind)
