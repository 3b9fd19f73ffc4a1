"""Deribit over REST: JSON-RPC in every answer, amounts as numbers, credits instead of counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import orjson

from indexer.demo.venue.dialects.base import Ask, Dialect, Refused, Route, Session
from indexer.demo.venue.dialects.deribit.shapes import CURRENCIES, granted, instrument, position_data, summary
from indexer.demo.venue.dialects.deribit.sockets import DeribitSession
from indexer.demo.venue.signing import hmac_of, is_recent, number, same
from indexer.demo.venue.state import Account
from indexer.demo.venue.weights import Budget, Cost, Overdrawn

_WINDOW_MS = 60_000
_IP_CREDITS = (Cost(Budget("credits per ip", 50_000, refill=10_000), 500),)
_KEY_CREDITS = (Cost(Budget("credits per key", 50_000, per="key", refill=10_000), 500),)
_INSTRUMENTS = (Cost(Budget("instrument credits", 500_000, refill=10_000), 10_000),)
_SIGNATURE = re.compile(r"deri-hmac-sha256 id=(?P<id>[^,]*),ts=(?P<ts>\d+),sig=(?P<sig>[^,]*),nonce=(?P<nonce>.*)")

INVALID_CREDENTIALS = {"code": 13004, "message": "invalid_credentials"}


class Deribit(Dialect):
    """What is free and what is used never add up to the total."""

    name: ClassVar[str] = "deribit"
    wallets: ClassVar[tuple[str, ...]] = ("futures",)
    margin_wallet: ClassVar[str] = "futures"
    cash: ClassVar[str] = "USDC"
    numbers: ClassVar[bool] = True

    def routed(self) -> Mapping[tuple[str, str], Route]:
        swaps = self.desk.markets.perpetuals
        listed = cache(lambda: orjson.Fragment(orjson.dumps([instrument(pair) for pair in swaps("USDC")])))
        currencies = [_currency(asset) for asset in self.desk.markets.assets]

        def public(answer: Callable[[Ask], Any], costs: Sequence[Cost] = _IP_CREDITS) -> Route:
            return Route(lambda ask: self.enveloped({"result": answer(ask)}), tuple(costs), signed=False)

        def private(answer: Callable[[Ask], Any]) -> Route:
            return Route(lambda ask: self.enveloped({"result": answer(ask)}), _KEY_CREDITS)

        return {
            ("GET", "/api/v2/public/get_time"): public(lambda _: self.desk.now_ms()),
            ("GET", "/api/v2/public/auth"): public(lambda ask: granted(self.authenticated(ask.params))),
            ("GET", "/api/v2/public/test"): public(lambda _: {"version": "1.2.26"}),
            ("GET", "/api/v2/public/status"): public(lambda _: {"locked": "false", "locked_indices": []}),
            ("GET", "/api/v2/public/get_currencies"): public(lambda _: currencies),
            ("GET", "/api/v2/public/get_instruments"): public(lambda _: listed(), _INSTRUMENTS),
            ("GET", "/api/v2/private/get_account_summaries"): private(_summaries),
            ("GET", "/api/v2/private/get_account_summary"): private(_summary),
            ("GET", "/api/v2/private/get_positions"): private(_positions),
        }

    def admitted(self, ask: Ask) -> Account:
        found = _SIGNATURE.fullmatch(ask.headers.get("Authorization", ""))
        if found is None:
            raise self.error({"code": 13009, "message": "unauthorized", "data": {"reason": "missing"}}, 401)
        account = self.keyed(found["id"])
        query = f"?{ask.query}" if ask.query else ""
        request = f"{ask.method}\n{ask.path}{query}\n{ask.body}\n"
        self.check(account, found["ts"], f"{found['ts']}\n{found['nonce']}\n{request}", found["sig"])
        return account

    def keyed(self, key: str) -> Account:
        account = self.desk.keys.find(self.name, key)
        if account is None:
            raise self.error(INVALID_CREDENTIALS)
        if self.desk.keys.is_expired(account):
            raise self.expired()
        return account

    def authenticated(self, params: Mapping[str, Any]) -> Account:
        """Whose signature it is, over REST and on the socket alike."""
        account = self.keyed(str(params.get("client_id", "")))
        told = str(params.get("timestamp", ""))
        message = f"{told}\n{params.get('nonce', '')}\n{params.get('data', '')}"
        self.check(account, told, message, str(params.get("signature", "")))
        return account

    def check(self, account: Account, told: str, message: str, signature: str) -> None:
        """Signature and time of a request, of the socket's as well."""
        if not is_recent(number(told), self.desk.now_ms(), _WINDOW_MS, _WINDOW_MS):
            raise self.error({**INVALID_CREDENTIALS, "data": {"reason": "timestamp too far"}})
        if not same(signature, hmac_of(account.secret, message)):
            raise self.error(INVALID_CREDENTIALS)

    def expired(self) -> Refused:
        return self.error({"code": 13009, "message": "unauthorized", "data": {"reason": "invalid_token"}}, 401)

    def overdrawn(self, why: Overdrawn) -> Refused:
        wait = {"wait": int(why.retry_after) + 1}
        return self.error({"code": 10028, "message": "too_many_requests", "data": wait}, 429)

    def unknown(self, ask: Ask) -> Refused:  # noqa: ARG002 - the same for every path
        return self.error({"code": -32601, "message": "Method not found"}, 400)

    def error(self, what: Mapping[str, Any], status: int = 400) -> Refused:
        return Refused(self.enveloped({"error": what}), status)

    def enveloped(self, told: Mapping[str, Any]) -> dict[str, Any]:
        now = self.desk.now_ms() * 1000
        return {"jsonrpc": "2.0", **told, "usIn": now, "usOut": now + 200, "usDiff": 200, "testnet": False}

    def caller(self, ask: Ask) -> str:
        found = _SIGNATURE.fullmatch(ask.headers.get("Authorization", ""))
        return ask.ip if found is None else found["id"]

    def session(self, path: str, query: Mapping[str, str], ip: str) -> Session | None:  # noqa: ARG002
        return DeribitSession(self) if path == "/ws/api/v2" else None


def _summaries(ask: Ask) -> Any:
    state = ask.shown
    listed = {**dict.fromkeys(CURRENCIES), **dict.fromkeys(state.holdings("futures"))} if state.wallets else {}
    return {
        "id": ask.owner.number,
        "email": "user@example.com",
        "username": ask.owner.name,
        "type": "main",
        "summaries": [summary(state, asset) for asset in listed],
    }


def _summary(ask: Ask) -> Any:
    return summary(ask.shown, ask.params.get("currency", "BTC"))


def _positions(ask: Ask) -> Any:
    wanted = ask.params.get("currency", "any")
    return [position_data(each) for each in ask.shown.positions.values() if wanted in {"any", each.settle}]


def _currency(asset: str) -> dict[str, Any]:
    return {
        "currency": asset,
        "currency_long": asset,
        "coin_type": asset,
        "network_currency": asset,
        "withdrawal_fee": 0.0001,
        "min_withdrawal_fee": 0.0001,
        "min_confirmations": 1,
        "fee_precision": 8,
        "apr": 0.0,
        "withdrawal_priorities": [],
        "in_cross_collateral_pool": False,
    }
