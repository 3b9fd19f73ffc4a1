"""OKX's private channels: login, then account, positions, balance_and_position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import orjson

from indexer.demo.venue.dialects.base import Desk, Frame, Session
from indexer.demo.venue.dialects.okx.shapes import account_data, position_data
from indexer.demo.venue.signing import hmac_of, is_recent, number, same
from indexer.demo.venue.state import Account, AccountState, Change

_WINDOW_MS = 30_000
_CHANNELS = ("account", "positions", "balance_and_position")
_CONNECTION = "a4d3ae55"


class OkxSession(Session):
    """A whole snapshot after each subscription, then what changed, and everything again every few seconds."""

    beat_seconds: ClassVar[float] = 5.0

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._account: Account | None = None
        self._subscribed: dict[str, dict[str, Any]] = {}

    @property
    def account(self) -> Account | None:
        return self._account

    def heard(self, text: str) -> Iterable[Frame]:
        if text == "ping":
            return [Frame("pong")]
        try:
            ask = orjson.loads(text)
        except orjson.JSONDecodeError:
            return [_error("60012", f"Illegal request: {text}")]
        args = ask.get("args") or [{}]
        match ask.get("op"):
            case "login":
                return [self._login(args[0])]
            case "subscribe":
                named = {"id": ask["id"]} if "id" in ask else {}
                return [frame for arg in args for frame in self._subscribe(arg, named)]
            case "unsubscribe":
                return [self._unsubscribe(arg) for arg in args]
            case _:
                return [_error("60012", f"Illegal request: {text}")]

    def told(self, change: Change) -> Iterable[Frame]:
        if self._account is None or change.account.name != self._account.name:
            return
        moved = [move.asset for move in change.moved("unified")]
        for channel, arg in self._subscribed.items():
            match channel:
                case "account" if moved:
                    yield self._account_frame(arg, change.state, moved, "event_update", "delta")
                case "positions" if change.positions:
                    yield Frame({"arg": arg, "data": [position_data(each) for each in change.positions]}, "delta")
                case "balance_and_position" if moved or change.positions:
                    yield Frame(self._both(arg, change.state, moved, change), "delta")
                case _:
                    pass

    def beat(self) -> Iterable[Frame]:
        if self._account is None or "account" not in self._subscribed:
            return
        state = self._desk.truth.state(self._account)
        yield self._account_frame(self._subscribed["account"], state, _held(state), "interval_update", "delta")

    def closing(self) -> Iterable[Frame]:
        yield _error("60005", "Invalid apiKey")

    def _login(self, arg: dict[str, Any]) -> Frame:
        account = self._desk.keys.find("okx", str(arg.get("apiKey", "")))
        if account is None or self._desk.keys.is_expired(account):
            return _error("60005", "Invalid apiKey")
        if arg.get("passphrase") != account.password:
            return _error("60024", "Wrong passphrase")
        told = str(arg.get("timestamp", ""))
        if not is_recent(number(told) * 1000, self._desk.now_ms(), _WINDOW_MS, _WINDOW_MS):
            return _error("60006", "Timestamp request expired")
        if not same(str(arg.get("sign", "")), hmac_of(account.secret, f"{told}GET/users/self/verify", "base64")):
            return _error("60007", "Invalid sign")
        self._account = account
        return Frame({"event": "login", "code": "0", "msg": "", "connId": _CONNECTION})

    def _subscribe(self, arg: dict[str, Any], named: dict[str, Any]) -> Iterable[Frame]:
        channel = str(arg.get("channel", ""))
        if channel not in _CHANNELS:
            yield _error("60018", f"Wrong URL or channel:{channel} doesn't exist.")
            return
        if self._account is None:
            yield _error("60011", "Please log in")
            return
        state = self._desk.truth.state(self._account)
        told = {**arg, "uid": str(self._account.number)}
        self._subscribed = {**self._subscribed, channel: told}
        yield Frame({**named, "event": "subscribe", "arg": arg, "connId": _CONNECTION})
        held = _held(state)
        match channel:
            case "account":
                yield self._account_frame(told, state, held, "snapshot", "snapshot")
            case "positions":
                positions = [position_data(each) for each in state.positions.values()]
                yield Frame({"arg": told, "eventType": "snapshot", "data": positions}, "snapshot")
            case _:
                yield Frame(self._both(told, state, held, None), "snapshot")

    def _unsubscribe(self, arg: dict[str, Any]) -> Frame:
        channel = str(arg.get("channel", ""))
        self._subscribed = {name: each for name, each in self._subscribed.items() if name != channel}
        return Frame({"event": "unsubscribe", "arg": arg, "connId": _CONNECTION})

    @staticmethod
    def _account_frame(arg: dict[str, Any], state: AccountState, assets: list[str], event: str, kind: Any) -> Frame:
        pages = {} if event == "event_update" else {"curPage": 1, "lastPage": True}
        return Frame({"arg": arg, "eventType": event, **pages, "data": [account_data(state, assets)]}, kind)

    def _both(
        self, arg: dict[str, Any], state: AccountState, assets: list[str], change: Change | None
    ) -> dict[str, Any]:
        held = state.holdings("unified")
        positions = state.positions.values() if change is None else change.positions
        data = {
            "pTime": str(self._desk.now_ms()),
            "eventType": "snapshot" if change is None else _EVENTS.get(change.kind, "filled"),
            "balData": [
                {"ccy": asset, "cashBal": held[asset].total, "uTime": str(state.changed("unified", asset))}
                for asset in assets
            ],
            "posData": [position_data(each) for each in positions],
            "trades": [],
        }
        return {"arg": arg, "data": [data]}


_EVENTS = {"deposit": "transferred", "withdraw": "transferred", "transfer": "transferred", "funding": "funding_fee"}


def _held(state: AccountState) -> list[str]:
    return [asset for asset, each in state.holdings("unified").items() if each.total or each.debt]


def _error(code: str, message: str) -> Frame:
    return Frame({"event": "error", "code": code, "msg": message, "connId": _CONNECTION})
