"""Bybit's rules for everyone: signatures, budgets, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from indexer.demo.venue.dialects.base import Ask, Dialect, Refused, Route, Session
from indexer.demo.venue.dialects.bybit import rest
from indexer.demo.venue.dialects.bybit.sockets import BybitSession
from indexer.demo.venue.signing import hmac_of, is_recent, number, same
from indexer.demo.venue.state import Account
from indexer.demo.venue.weights import Overdrawn


class Bybit(Dialect):
    """Every answer is a 200 with a code inside, but for one who asks far too often."""

    name: ClassVar[str] = "bybit"
    wallets: ClassVar[tuple[str, ...]] = ("unified", "funding", "earn")
    margin_wallet: ClassVar[str] = "unified"

    def routed(self) -> Mapping[tuple[str, str], Route]:
        return rest.routes(self.desk)

    def admitted(self, ask: Ask) -> Account:
        account = self.desk.keys.find(self.name, ask.headers.get("X-BAPI-API-KEY", ""))
        if account is None:
            raise self.error(10003, "API key is invalid.")
        if self.desk.keys.is_expired(account):
            raise self.expired()
        told = ask.headers.get("X-BAPI-TIMESTAMP", "")
        window = ask.headers.get("X-BAPI-RECV-WINDOW", "5000")
        now = self.desk.now_ms()
        if not is_recent(number(told), now, number(window)):
            raise self.error(
                10002,
                "invalid request, please check your server timestamp or recv_window param. "
                f"req_timestamp[{told}],server_timestamp[{now}],recv_window[{window}]",
            )
        message = f"{told}{account.api_key}{window}{ask.body if ask.method == 'POST' else ask.query}"
        if not same(ask.headers.get("X-BAPI-SIGN", ""), hmac_of(account.secret, message)):
            raise self.error(10004, f"error sign! origin_string[{message}]")
        return account

    def expired(self) -> Refused:
        return self.error(33004, "Your api key has expired.")

    def overdrawn(self, why: Overdrawn) -> Refused:
        if why.budget.per == "ip":
            return self.error(10018, "Exceeded the IP Rate Limit.", 403)
        return self.error(10006, "Too many visits. Exceeded the API Rate Limit.")

    def malformed(self, ask: Ask) -> Refused:  # noqa: ARG002 - the same for every parameter
        return self.error(10001, "Request parameter error.")

    def error(self, code: int, message: str, status: int = 200) -> Refused:
        answer = {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": self.desk.now_ms()}
        return Refused(answer, status)

    def caller(self, ask: Ask) -> str:
        return ask.headers.get("X-BAPI-API-KEY", ask.ip)

    def headers(self, ask: Ask, route: Route) -> Mapping[str, str]:
        for budget in (cost.budget for cost in route.costs if cost.budget.per == "key"):
            left = int(budget.limit) - self.used(budget, self.caller(ask))
            return {
                "X-Bapi-Limit": str(int(budget.limit)),
                "X-Bapi-Limit-Status": str(left),
                "X-Bapi-Limit-Reset-Timestamp": str(self.desk.now_ms()),
            }
        return {}

    def session(self, path: str, query: Mapping[str, str], ip: str) -> Session | None:  # noqa: ARG002
        return BybitSession(self.desk) if path == "/v5/private" else None
