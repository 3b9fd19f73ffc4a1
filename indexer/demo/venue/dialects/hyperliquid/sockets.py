"""Hyperliquid's socket: whole states, once at the start and whenever something changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from indexer.demo.venue.dialects.base import Frame, Refused, Session
from indexer.demo.venue.dialects.hyperliquid.shapes import perpetual_state, spot_state
from indexer.demo.venue.state import Account, AccountState, Change

if TYPE_CHECKING:
    from indexer.demo.venue.dialects.hyperliquid.dialect import Hyperliquid

_WALLETS = {"clearinghouseState": "futures", "spotState": "spot"}


class HyperliquidSession(Session):
    """Anyone may subscribe to any address."""

    def __init__(self, dialect: Hyperliquid) -> None:
        self._dialect = dialect
        self._desk = dialect.desk
        self._subscribed: dict[tuple[str, str], Account] = {}

    @property
    def account(self) -> Account | None:
        return next(iter(self._subscribed.values()), None)

    def heard(self, text: str) -> Iterable[Frame]:
        try:
            ask = orjson.loads(text)
        except orjson.JSONDecodeError:
            return [_error(f"Error parsing JSON into valid websocket request: {text}")]
        subscription = ask.get("subscription") or {}
        match ask.get("method"):
            case "ping":
                return [Frame({"channel": "pong"})]
            case "subscribe":
                return self._subscribe(subscription)
            case "unsubscribe":
                key = (str(subscription.get("type", "")), str(subscription.get("user", "")).lower())
                self._subscribed = {each: owner for each, owner in self._subscribed.items() if each != key}
                return [_answer("unsubscribe", subscription)]
            case _:
                return [_error(f"Error parsing JSON into valid websocket request: {text}")]

    def told(self, change: Change) -> Iterable[Frame]:
        for (kind, _), owner in self._subscribed.items():
            if owner.name == change.account.name and (
                change.moved(_WALLETS[kind]) or (change.positions and kind == "clearinghouseState")
            ):
                yield self._pushed(kind, owner, change.state, "delta")

    def _subscribe(self, subscription: dict[str, Any]) -> Iterable[Frame]:
        kind, address = str(subscription.get("type", "")), str(subscription.get("user", ""))
        if kind not in _WALLETS:
            yield _error(f"Invalid subscription {subscription}")
            return
        try:
            owner = self._dialect.owner(address)
        except Refused:
            yield _error(f"Invalid subscription {subscription}")
            return
        if (kind, address.lower()) in self._subscribed:
            yield _error(f"Already subscribed: {subscription}")
            return
        self._subscribed = {**self._subscribed, (kind, address.lower()): owner}
        yield _answer("subscribe", subscription)
        yield self._pushed(kind, owner, self._desk.truth.state(owner), "snapshot")

    def _pushed(self, kind: str, owner: Account, state: AccountState, frame: Any) -> Frame:
        if kind == "spotState":
            told = {"user": owner.api_key, "spotState": spot_state(state, self._desk.markets.numbers)}
        else:
            told = {"dex": "", "user": owner.api_key, "clearinghouseState": perpetual_state(state)}
        return Frame({"channel": kind, "data": told}, frame)


def _answer(method: str, subscription: dict[str, Any]) -> Frame:
    return Frame({"channel": "subscriptionResponse", "data": {"method": method, "subscription": subscription}})


def _error(text: str) -> Frame:
    return Frame({"channel": "error", "data": text})
