"""OKX's rules for everyone: signatures, budgets, errors, the envelope around every answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from indexer.demo.venue.dialects.base import Ask, Dialect, Refused, Route, Session
from indexer.demo.venue.dialects.okx import rest
from indexer.demo.venue.dialects.okx.sockets import OkxSession
from indexer.demo.venue.signing import hmac_of, is_recent, same
from indexer.demo.venue.state import Account
from indexer.demo.venue.weights import Budget, Cost, Overdrawn

_WINDOW_MS = 30_000


class Okx(Dialect):
    """Everything is a string, and errors have codes of five digits."""

    name: ClassVar[str] = "okx"
    wallets: ClassVar[tuple[str, ...]] = ("unified", "funding", "earn")
    margin_wallet: ClassVar[str] = "unified"

    def routed(self) -> Mapping[tuple[str, str], Route]:
        return rest.routes(self.desk)

    def admitted(self, ask: Ask) -> Account:
        key = ask.headers.get("OK-ACCESS-KEY", "")
        if len(key) != 64:
            raise error("50111", "Invalid OK-ACCESS-KEY")
        account = self.desk.keys.find(self.name, key)
        if account is None or self.desk.keys.is_expired(account):
            raise self.expired()
        if ask.headers.get("OK-ACCESS-PASSPHRASE") != account.password:
            raise error("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.")
        told = ask.headers.get("OK-ACCESS-TIMESTAMP", "")
        if not is_recent(_milliseconds(told), self.desk.now_ms(), _WINDOW_MS, _WINDOW_MS):
            raise error("50102", "Timestamp request expired")
        query = f"?{ask.query}" if ask.query else ""
        message = f"{told}{ask.method}{ask.path}{query}{ask.body}"
        if not same(ask.headers.get("OK-ACCESS-SIGN", ""), hmac_of(account.secret, message, "base64")):
            raise error("50113", "Invalid Sign")
        return account

    def expired(self) -> Refused:
        return error("50119", "API key doesn't exist")

    def overdrawn(self, why: Overdrawn) -> Refused:  # noqa: ARG002 - OKX does not say which, nor for how long
        return error("50011", "Too Many Requests", 429)

    def unknown(self, ask: Ask) -> Refused:  # noqa: ARG002 - the same for every path
        return Refused({"code": "404", "data": [], "msg": "Not Found"}, 404)

    def malformed(self, ask: Ask) -> Refused:  # noqa: ARG002 - the same for every parameter
        return error("51000", "Parameter error", 400)

    def costs(self, route: Route, ask: Ask) -> Sequence[Cost]:
        if ask.path == rest.INSTRUMENTS:  # counted for each kind of instrument
            return (Cost(Budget(f"{ask.path} {ask.params.get('instType', '')}", 20, 2), 1),)
        return route.costs

    def caller(self, ask: Ask) -> str:
        return ask.headers.get("OK-ACCESS-KEY", ask.ip)

    def session(self, path: str, query: Mapping[str, str], ip: str) -> Session | None:  # noqa: ARG002
        return OkxSession(self.desk) if path in {"/ws/v5/private", "/ws/v5/public", "/ws/v5/business"} else None


def error(code: str, message: str, status: int = 401) -> Refused:
    payload: dict[str, Any] = {"code": code, "data": [], "msg": message}
    return Refused(payload, status)


def _milliseconds(told: str) -> int:
    try:
        return int(datetime.fromisoformat(told).timestamp() * 1000)
    except ValueError:
        return -1
