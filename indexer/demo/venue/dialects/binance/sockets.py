"""Binance's user streams: spot and margin on the WebSocket API, futures behind a listen key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from indexer.demo.venue.dialects.base import Desk, Frame, Refused, Session
from indexer.demo.venue.dialects.binance.futures import market_id
from indexer.demo.venue.dialects.binance.limits import spot
from indexer.demo.venue.dialects.binance.spot import account_status
from indexer.demo.venue.state import Account, Change, Move, Position

if TYPE_CHECKING:
    from indexer.demo.venue.dialects.binance.dialect import Binance

_PLAIN_REASONS = {"deposit": "DEPOSIT", "withdraw": "WITHDRAW", "funding": "FUNDING_FEE", "position": "ORDER"}
_FROM_OUTSIDE = ("deposit", "withdraw", "transfer")
_SUBSCRIBE = ("userDataStream.subscribe.signature", "userDataStream.subscribe.listenToken")


class SpotSession(Session):
    """The WebSocket API: requests with ids, and events of the wallets that were subscribed to."""

    def __init__(self, dialect: Binance, ip: str) -> None:
        self._dialect = dialect
        self._desk = dialect.desk
        self._ip = ip
        self._account: Account | None = None
        self._subscriptions: dict[int, str] = {}

    @property
    def account(self) -> Account | None:
        return self._account

    def heard(self, text: str) -> Iterable[Frame]:
        try:
            ask = orjson.loads(text)
        except orjson.JSONDecodeError:
            ask = {}
        name, number, params = ask.get("method", ""), ask.get("id"), ask.get("params", {})
        weight = 20 if name == "account.status" else 2 if name in _SUBSCRIBE else 1
        overdrawn = self._desk.weights.charge(
            self._dialect.name, spot(weight), ip=self._ip, key=self._ip, now=self._desk.now_ms() / 1000
        )
        try:
            if overdrawn is not None:
                raise self._dialect.overdrawn(overdrawn)
            result = self._answered(name, params)
        except Refused as refusal:
            yield Frame({"id": number, "status": refusal.answer.status, "error": refusal.answer.payload})
        else:
            yield Frame({"id": number, "status": 200, "result": result, "rateLimits": []})

    def told(self, change: Change) -> Iterable[Frame]:
        if self._account is None or change.account.name != self._account.name:
            return
        for number, wallet in self._subscriptions.items():
            for event in _wallet_events(change, wallet):
                yield Frame({"subscriptionId": number, "event": event}, "delta")

    def closing(self) -> Iterable[Frame]:
        for number in self._subscriptions:
            yield Frame({"subscriptionId": number, "event": {"e": "eventStreamTerminated", "E": self._desk.now_ms()}})

    def _answered(self, name: str, params: Mapping[str, Any]) -> Any:
        match name:
            case "ping":
                return {}
            case "time":
                return {"serverTime": self._desk.now_ms()}
            case "account.status":
                account = self._signed(params)
                state = self._desk.truth.state(account)
                return account_status(state, self._desk.markets, account.number, account.permissions, params)
            case "userDataStream.subscribe.signature":
                return self._subscribed(self._signed(params), "spot")
            case "userDataStream.subscribe.listenToken":
                owner = self._dialect.listening.owner(str(params.get("listenToken", "")))
                if owner is None:
                    raise Refused({"code": -1125, "msg": "This listenToken does not exist."}, 400)
                return self._subscribed(owner, "margin")
            case "userDataStream.unsubscribe":
                self._subscriptions = {}
                return {}
            case _:
                raise Refused({"code": -1020, "msg": "This operation is not supported."}, 400)

    def _signed(self, params: Mapping[str, Any]) -> Account:
        """The signature covers the parameters in alphabetical order, as they are written."""
        account = self._dialect.keyed(str(params.get("apiKey", "")))
        named = {name: _text(value) for name, value in params.items() if name != "signature"}
        message = "&".join(f"{name}={named[name]}" for name in sorted(named))
        self._dialect.check(account, message, str(params.get("signature", "")), named)
        return account

    def _subscribed(self, account: Account, wallet: str) -> Any:
        self._account = account
        number = len(self._subscriptions)
        self._subscriptions = {**self._subscriptions, number: wallet}
        return {"subscriptionId": number}


class FuturesSession(Session):
    """The raw stream behind a listen key; a wrong key opens a socket on which nothing is ever said."""

    def __init__(self, desk: Desk, account: Account | None, key: str, wallet: str) -> None:
        self._desk = desk
        self._account = account
        self._key = key
        self._wallet = wallet

    @property
    def account(self) -> Account | None:
        return self._account

    def heard(self, text: str) -> Iterable[Frame]:
        try:
            ask = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        yield Frame({"result": None, "id": ask.get("id")})

    def told(self, change: Change) -> Iterable[Frame]:
        if self._account is None or change.account.name != self._account.name:
            return
        moves = change.moved(self._wallet)
        positions = change.positions if self._wallet == "futures" else ()
        if change.kind in {"hold", "release"}:
            # An order that waits is margin in use, and how much Binance does not say.
            for move in moves:
                yield Frame(_order(change, move, self._wallet), "delta")
            return
        if not (moves or positions):
            return
        event = {
            "e": "ACCOUNT_UPDATE",
            "E": self._desk.now_ms(),
            "T": change.time_ms,
            "a": {
                "m": _reason(change, moves),
                "B": [_balance(move) for move in moves],
                "P": [] if change.kind == "funding" else [_position(each) for each in positions],
            },
        }
        yield Frame(event, "delta")

    def closing(self) -> Iterable[Frame]:
        yield Frame({"e": "listenKeyExpired", "E": self._desk.now_ms(), "listenKey": self._key})


def _order(change: Change, move: Move, wallet: str) -> dict[str, Any]:
    status = "NEW" if change.kind == "hold" else "CANCELED"
    order = {
        "s": "BTCUSDT" if wallet == "futures" else f"{move.asset}USD_PERP",
        "c": f"order-{change.seq}",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.001",
        "p": "9910",
        "ap": "0",
        "sp": "0",
        "x": status,
        "X": status,
        "i": 8886774 + change.seq,
        "l": "0",
        "z": "0",
        "L": "0",
        "T": change.time_ms,
        "t": 0,
        "b": "9.91",
        "a": "0",
        "m": False,
        "R": False,
        "wt": "CONTRACT_PRICE",
        "ot": "LIMIT",
        "ps": "BOTH",
        "cp": False,
        "rp": "0",
    }
    return {"e": "ORDER_TRADE_UPDATE", "E": change.time_ms, "T": change.time_ms, "o": order}


def _wallet_events(change: Change, wallet: str) -> Iterable[dict[str, Any]]:
    moves = [
        move
        for move in change.moved(wallet)
        if (move.before.free, move.before.used) != (move.after.free, move.after.used)
    ]
    for move in change.moved(wallet) if change.kind in {"borrow", "repay", "interest"} else ():
        yield _liability(change, move)
    if not moves:
        return
    if change.kind in _FROM_OUTSIDE:
        for move in moves:
            yield {
                "e": "balanceUpdate",
                "E": change.time_ms,
                "a": move.asset,
                "d": move.delta,
                "T": change.time_ms,
            }
    yield {
        "e": "outboundAccountPosition",
        "E": change.time_ms,
        "u": change.time_ms,
        "B": [{"a": move.asset, "f": move.after.free, "l": move.after.used} for move in moves],
    }


def _liability(change: Change, move: Move) -> dict[str, Any]:
    return {
        "e": "userLiabilityChange",
        "E": change.time_ms,
        "a": move.asset,
        "t": {"borrow": "BORROW", "repay": "REPAY"}.get(change.kind, "INTEREST"),
        "T": change.seq,
        "p": move.after.debt,
        "i": "0",
    }


def _reason(change: Change, moves: tuple[Move, ...]) -> str:
    if change.kind == "transfer":
        return "DEPOSIT" if all(move.delta > 0 for move in moves) else "WITHDRAW"
    return _PLAIN_REASONS.get(change.kind, "ADJUSTMENT")


def _balance(move: Move) -> dict[str, Any]:
    return {"a": move.asset, "wb": move.after.total, "cw": move.after.total, "bc": move.delta}


def _position(position: Position) -> dict[str, Any]:
    return {
        "s": market_id(position.symbol),
        "pa": position.size,
        "ep": position.entry_price,
        "bep": position.entry_price,
        "cr": "0",
        "up": position.unrealised,
        "mt": "cross",
        "iw": "0",
        "ps": "BOTH",
        "ma": position.settle,
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
