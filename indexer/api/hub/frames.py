"""Websocket frames as bytes, made once however many get them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from struct import Struct
from typing import Any, Final

import orjson

from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.facts import AccountAlert, AssetChanged, AssetUpdated, FundingPaid, PositionUpdated
from indexer.domain.balances import BalanceUpdated
from indexer.domain.telling.commits import Commit, Event
from indexer.domain.telling.events import EVENT_TYPES, event_json
from indexer.domain.telling.facts import BalanceReverted, ChainFinalized, HistoryFilled, chain_id_of
from indexer.errors import EventUnwritable

_SHORT = Struct("!BB").pack
_MEDIUM = Struct("!BBH").pack
_LONG = Struct("!BBQ").pack
_CODE = Struct("!H").pack

_TEXT: Final = 0x81
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A


def text_frame(payload: bytes) -> bytes:
    """A whole, unmasked text frame (RFC 6455): what a server sends."""
    return _header(_TEXT, len(payload)) + payload


def joined_frame(parts: Sequence[bytes]) -> bytes:
    """The same of a text in parts, copied once: of a large snapshot each copy takes 10 ms."""
    return b"".join((_header(_TEXT, sum(map(len, parts))), *parts))


def json_frame(value: Mapping[str, Any]) -> bytes:
    return text_frame(orjson.dumps(value))


def pong_frame(payload: bytes) -> bytes:
    return _header(_PONG, len(payload)) + payload


def close_frame(code: int, reason: str) -> bytes:
    """`reason` has at most 123 bytes."""
    payload = _CODE(code) + reason.encode()
    return _header(_CLOSE, len(payload)) + payload


PING_FRAME: Final = bytes((_PING, 0))


class Told:
    """One event on its way to many: its address for filters, its key for conflation, its frame when first needed."""

    __slots__ = (
        "_data",
        "_event",
        "_frame",
        "account",
        "asset",
        "chain",
        "exchange",
        "key",
        "seq",
        "solver",
        "stream",
        "token",
        "type",
        "wallet",
    )

    def __init__(self, event: Event, data: Mapping[str, Any] | None = None) -> None:
        fact = event.fact
        self._event: Event | None = event
        self._data = data
        self._frame = b""
        self.stream = event.stream
        self.seq = event.seq
        self.type = EVENT_TYPES[type(fact)]
        self.chain = chain_id_of(fact)
        self.token: str | None = None
        self.solver: str | None = None
        account: AccountKey | None = getattr(fact, "account", None)
        self.exchange = None if account is None else account.exchange
        self.account = None if account is None else account.name
        self.wallet: str | None = None
        self.asset: str | None = None
        self.key: Hashable | None = (self.type, self.stream)
        match fact:
            case BalanceUpdated() | BalanceReverted():
                self.token, self.solver = fact.holding
                # Both say what holds now, so that the newer one stands for either.
                self.key = (fact.chain_id, fact.holding)
            case HistoryFilled():
                self.token, self.solver = fact.holding
                self.key = (self.type, self.stream, fact.holding)
            case ChainFinalized():
                self.key = (self.type, self.stream, fact.level)
            case AssetUpdated(slot=place) | AssetChanged(slot=place):
                self.wallet, self.asset = place
                self.key = (self.type, self.stream, place)
            case PositionUpdated():
                self.key = (self.type, self.stream, fact.symbol)
            case AccountAlert():
                self.wallet, self.asset = fact.wallet, fact.asset
                # That it is over does not stand for that it was: both are told, however far behind somebody is.
                self.key = (self.type, self.stream, fact.kind, fact.wallet, fact.asset, fact.cleared)
            case FundingPaid(funding=funding):
                self.asset = funding.asset
                self.key = None  # each is money of its own, and no newer one stands for it
            case _:
                pass

    def frame(self) -> bytes:
        """Raises `EventUnwritable`, each time, where none can be made."""
        if self._event is not None:
            try:
                self._frame = text_frame(orjson.dumps(event_json(self._event, self._data)))
            except Exception as error:
                raise EventUnwritable(f"{self._event.id} cannot be told: {error!r}") from error
            self._event = self._data = None
        return self._frame


def told(commit: Commit, epoch: str, said: Sequence[Mapping[str, Any]] | None = None) -> list[Told]:
    """`said`: what each of its facts is told as, where somebody made that already."""
    if said is None:
        return [Told(event) for event in commit.events(epoch)]
    return [Told(event, data) for event, data in zip(commit.events(epoch), said, strict=True)]


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return _SHORT(first, length)
    if length < 65_536:
        return _MEDIUM(first, 126, length)
    return _LONG(first, 127, length)
