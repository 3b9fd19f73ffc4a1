"""Binance's rules for everyone: signatures, budgets, errors, and which endpoint is where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from indexer.demo.venue.dialects.base import Ask, Desk, Dialect, Refused, Route, Session
from indexer.demo.venue.dialects.binance import coins, futures, isolated, limits, spot, wallets
from indexer.demo.venue.dialects.binance.listening import Listening
from indexer.demo.venue.dialects.binance.sockets import FuturesSession, SpotSession
from indexer.demo.venue.signing import hmac_of, is_recent, number, same
from indexer.demo.venue.state import Account
from indexer.demo.venue.weights import Overdrawn

INVALID_KEY = {"code": -2008, "msg": "Invalid Api-Key ID."}
MALFORMED_KEY = {"code": -2014, "msg": "API-key format invalid."}
DENIED_KEY = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
BAD_SIGNATURE = {"code": -1022, "msg": "Signature for this request is not valid."}
OUTSIDE_WINDOW = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
AHEAD = {"code": -1021, "msg": "Timestamp for this request was 1000ms ahead of the server's time."}

_KEY_ONLY = ("/fapi/v1/listenKey", "/dapi/v1/listenKey", "/sapi/v1/userListenToken")
"""The key in the header is enough."""


class Binance(Dialect):
    """REST of four hosts and two kinds of user stream."""

    name: ClassVar[str] = "binance"
    wallets: ClassVar[tuple[str, ...]] = ("spot", "margin", "futures", "funding", "earn", "isolated", "coin_futures")
    margin_wallet: ClassVar[str] = "futures"
    places: ClassVar[int] = 8

    def __init__(self, desk: Desk) -> None:
        self.listening = Listening(desk)
        super().__init__(desk)

    def routed(self) -> Mapping[tuple[str, str], Route]:
        return {
            **spot.routes(self.desk),
            **wallets.routes(self.desk),
            **isolated.routes(),
            **futures.routes(self.desk),
            **coins.routes(self.desk),
            **self.listening.routes(),
        }

    def admitted(self, ask: Ask) -> Account:
        account = self.keyed(ask.headers.get("X-MBX-APIKEY", ""))
        if ask.path in _KEY_ONLY:
            return account
        given = ask.query if ask.method in {"GET", "DELETE"} else ask.body
        told = ask.params if ask.method in {"GET", "DELETE"} else ask.form
        message, _, signature = given.rpartition("&signature=")
        self.check(account, message, signature, told)
        return account

    def keyed(self, key: str) -> Account:
        """Whose key it is."""
        if len(key) != 64:
            raise Refused(MALFORMED_KEY, 401)
        account = self.desk.keys.find(self.name, key)
        if account is None:
            raise Refused(INVALID_KEY, 401)
        if self.desk.keys.is_expired(account):
            raise self.expired()
        return account

    def check(self, account: Account, message: str, signature: str, told: Mapping[str, str]) -> None:
        """Signature and time of a request, of the socket's as well."""
        if not same(signature, hmac_of(account.secret, message)):
            raise Refused(BAD_SIGNATURE, 400)
        moment, now = number(told.get("timestamp", "")), self.desk.now_ms()
        window = number(told.get("recvWindow", "5000"))
        if not is_recent(moment, now, window):
            raise Refused(AHEAD if moment > now else OUTSIDE_WINDOW, 400)

    def expired(self) -> Refused:
        return Refused(DENIED_KEY, 401)

    def overdrawn(self, why: Overdrawn) -> Refused:
        if why.banned:
            until = self.desk.now_ms() + int(why.retry_after * 1000)
            text = f"Way too much request weight used; IP banned until {until}. Please use WebSocket Streams for "
        else:
            text = (
                f"Too much request weight used; current limit is {why.budget.limit:.0f} request weight per 1 MINUTE. "
                "Please use WebSocket Streams for "
            )
        payload = {"code": -1003, "msg": text + "live updates to avoid polling the API."}
        # Rounded up: who comes back on the second must not be a moment early.
        return Refused(payload, 418 if why.banned else 429, {"Retry-After": str(int(why.retry_after) + 1)})

    def malformed(self, ask: Ask) -> Refused:  # noqa: ARG002 - the same for every parameter
        return Refused({"code": -1100, "msg": "Illegal characters found in a parameter."}, 400)

    def caller(self, ask: Ask) -> str:
        return ask.headers.get("X-MBX-APIKEY", ask.ip)

    def headers(self, ask: Ask, route: Route) -> Mapping[str, str]:
        told = {}
        for cost in route.costs:
            caller = self.caller(ask) if cost.budget.per == "key" else ask.ip
            told[limits.HEADERS[cost.budget.name]] = str(self.used(cost.budget, caller))
        return told

    def session(self, path: str, query: Mapping[str, str], ip: str) -> Session | None:
        if path == "/ws-api/v3":
            return SpotSession(self, ip)
        if path == "/private/ws":
            key = query.get("listenKey", "")
            return FuturesSession(self.desk, self.listening.owner(key), key, "futures")
        if path.startswith("/ws/"):
            key = path.removeprefix("/ws/")
            return FuturesSession(self.desk, self.listening.owner(key), key, "coin_futures")
        return None
