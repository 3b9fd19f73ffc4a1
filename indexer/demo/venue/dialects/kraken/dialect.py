"""Kraken over REST: nonces that must grow, a counter that drains, names of its own for old coins."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

import orjson

from indexer.demo.venue.dialects.base import Ask, Desk, Dialect, Refused, Route, Session
from indexer.demo.venue.dialects.kraken.names import asset_id, plain
from indexer.demo.venue.dialects.kraken.sockets import KrakenSession
from indexer.demo.venue.markets import Pair
from indexer.demo.venue.signing import kraken_hmac, number, same
from indexer.demo.venue.state import ZERO, Account
from indexer.demo.venue.weights import Budget, Cost, Overdrawn

_PUBLIC = (Cost(Budget("public per ip", 15, refill=1), 1),)
_PRIVATE = (Cost(Budget("private counter", 20, per="key", refill=0.5), 1),)


class Kraken(Dialect):
    """Every answer is a 200; what went wrong is in a list."""

    name: ClassVar[str] = "kraken"
    wallets: ClassVar[tuple[str, ...]] = ("spot",)
    places: ClassVar[int] = 10

    def __init__(self, desk: Desk) -> None:
        self._nonces: dict[str, int] = {}
        self._tokens: dict[str, Account] = {}
        super().__init__(desk)

    def routed(self) -> Mapping[tuple[str, str], Route]:
        assets = cache(lambda: orjson.Fragment(orjson.dumps(dict(map(_asset, self.desk.markets.assets)))))
        pairs = cache(lambda: orjson.Fragment(orjson.dumps(dict(map(_pair, self.desk.markets.spot)))))

        def public(answer: Callable[[], Any]) -> Route:
            return Route(lambda _: {"error": [], "result": answer()}, _PUBLIC, signed=False)

        def private(answer: Callable[[Ask], Any]) -> Route:
            return Route(lambda ask: {"error": [], "result": answer(ask)}, _PRIVATE)

        return {
            ("GET", "/0/public/Time"): public(self._time),
            ("GET", "/0/public/SystemStatus"): public(self._status),
            ("GET", "/0/public/Assets"): public(assets),
            ("GET", "/0/public/AssetPairs"): public(pairs),
            ("POST", "/0/private/Balance"): private(_balance),
            ("POST", "/0/private/BalanceEx"): private(_balance_ex),
            ("POST", "/0/private/GetWebSocketsToken"): private(self._token),
        }

    def admitted(self, ask: Ask) -> Account:
        key = ask.headers.get("API-Key", "")
        account = self.desk.keys.find(self.name, key)
        if account is None or self.desk.keys.is_expired(account):
            raise self.expired()
        nonce = ask.form.get("nonce", "")
        right = kraken_hmac(account.secret, ask.path, nonce, ask.body)
        if not same(ask.headers.get("API-Sign", ""), right):
            raise _error("EAPI:Invalid signature")
        if number(nonce) <= self._nonces.get(key, 0):
            raise _error("EAPI:Invalid nonce")
        self._nonces[key] = number(nonce)
        return account

    def expired(self) -> Refused:
        return _error("EAPI:Invalid key")

    def overdrawn(self, why: Overdrawn) -> Refused:
        return _error("EAPI:Rate limit exceeded" if why.budget.per == "key" else "EGeneral:Too many requests")

    def unknown(self, ask: Ask) -> Refused:  # noqa: ARG002 - the same for every path
        return _error("EGeneral:Unknown method")

    def caller(self, ask: Ask) -> str:
        return ask.headers.get("API-Key", ask.ip)

    def session(self, path: str, query: Mapping[str, str], ip: str) -> Session | None:  # noqa: ARG002
        return KrakenSession(self.desk, self.owner) if path == "/v2" else None

    def owner(self, token: str) -> Account | None:
        account = self._tokens.get(token)
        return None if account is None or self.desk.keys.is_expired(account) else account

    def _token(self, ask: Ask) -> Any:
        token = hashlib.sha256(f"{ask.owner.api_key} {len(self._tokens)}".encode()).hexdigest()
        self._tokens[token] = ask.owner
        return {"token": token, "expires": 900}

    def _time(self) -> Any:
        seconds = self.desk.now_ms() // 1000
        return {
            "unixtime": seconds,
            "rfc1123": datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %y %H:%M:%S +0000"),
        }

    def _status(self) -> Any:
        return {"status": "online", "timestamp": datetime.fromtimestamp(self.desk.now_ms() / 1000, UTC).isoformat()}


def _balance(ask: Ask) -> Any:
    return {asset_id(asset): each.total for asset, each in ask.shown.holdings("spot").items()}


def _balance_ex(ask: Ask) -> Any:
    """What one ever had is listed for good, as zero."""
    return {
        asset_id(asset): {"balance": each.total, "hold_trade": each.used, "credit": ZERO, "credit_used": ZERO}
        for asset, each in ask.shown.holdings("spot").items()
    }


def _error(text: str) -> Refused:
    return Refused({"error": [text]}, 200)


def _asset(asset: str) -> tuple[str, dict[str, Any]]:
    listed = {"aclass": "currency", "altname": plain(asset), "decimals": 10, "display_decimals": 5}
    return asset_id(asset), {**listed, "collateral_value": 0.9, "status": "enabled", "margin_rate": 0.025}


def _pair(pair: Pair) -> tuple[str, dict[str, Any]]:
    name = f"{plain(pair.base)}{plain(pair.quote)}"
    return name, {
        "altname": name,
        "wsname": f"{plain(pair.base)}/{plain(pair.quote)}",
        "aclass_base": "currency",
        "base": asset_id(pair.base),
        "aclass_quote": "currency",
        "quote": asset_id(pair.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3],
        "leverage_sell": [2, 3],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
    }
