"""Binance's keys to user streams: listen keys of futures, listen tokens of margin."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from indexer.demo.venue.dialects.base import Ask, Desk, Refused, Route
from indexer.demo.venue.dialects.binance.limits import coin_futures, futures, sapi_key
from indexer.demo.venue.state import Account

_TOKEN_MS = 24 * 3600 * 1000


class Listening:
    """Which key or token opens whose stream."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._owners: dict[str, Account] = {}

    def routes(self) -> Mapping[tuple[str, str], Route]:
        asked = {
            (method, f"{path}/listenKey"): Route(answer, costs)
            for path, costs in (("/fapi/v1", futures(1)), ("/dapi/v1", coin_futures(1)))
            for method, answer in (("POST", self._give), ("PUT", self._keep), ("DELETE", self._drop))
        }
        return {**asked, ("POST", "/sapi/v1/userListenToken"): Route(self._give_token, sapi_key(1))}

    def owner(self, key: str) -> Account | None:
        account = self._owners.get(key)
        return None if account is None or self._desk.keys.is_expired(account) else account

    def _give(self, ask: Ask) -> Any:
        """The same key as long as one is valid."""
        return {"listenKey": self._made(ask.owner, ask.path)}

    def _keep(self, ask: Ask) -> Any:
        key = _key(ask.owner, ask.path)
        if key not in self._owners:
            raise Refused({"code": -1125, "msg": "This listenKey does not exist."}, 400)
        return {"listenKey": key}

    def _drop(self, ask: Ask) -> Any:
        self._owners.pop(_key(ask.owner, ask.path), None)
        return {}

    def _give_token(self, ask: Ask) -> Any:
        return {"token": self._made(ask.owner, "margin"), "expirationTime": self._desk.now_ms() + _TOKEN_MS}

    def _made(self, account: Account, kind: str) -> str:
        key = _key(account, kind)
        self._owners[key] = account
        return key


def _key(account: Account, kind: str) -> str:
    return hashlib.sha256(f"{account.api_key} {kind}".encode()).hexdigest()
