"""Hyperliquid over REST: one endpoint, the question is in the body, the address is no secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import orjson

from indexer.demo.venue.dialects.base import Ask, Desk, Dialect, Refused, Route, Session
from indexer.demo.venue.dialects.hyperliquid.shapes import funding, perpetual_state, spot_state, token_name
from indexer.demo.venue.dialects.hyperliquid.sockets import HyperliquidSession
from indexer.demo.venue.state import Account
from indexer.demo.venue.weights import Budget, Cost, Overdrawn

_PER_IP = Budget("weight per ip", 1200, 60)
_CHEAP = ("clearinghouseState", "spotClearinghouseState", "exchangeStatus", "allMids", "l2Book")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class Hyperliquid(Dialect):
    """An address that nobody knows is answered like one that holds nothing."""

    name: ClassVar[str] = "hyperliquid"
    wallets: ClassVar[tuple[str, ...]] = ("spot", "futures")
    margin_wallet: ClassVar[str] = "futures"
    cash: ClassVar[str] = "USDC"
    places: ClassVar[int] = 1

    def __init__(self, desk: Desk) -> None:
        self._nobody: dict[str, Account] = {}
        super().__init__(desk)

    def routed(self) -> Mapping[tuple[str, str], Route]:
        markets = self.desk.markets
        perpetuals = cache(lambda: orjson.Fragment(orjson.dumps(_perpetuals(markets.bases[: len(markets.swaps)]))))
        spot = cache(lambda: orjson.Fragment(orjson.dumps(_spot(markets.bases))))
        tokens = cache(lambda: orjson.Fragment(orjson.dumps(_spot_meta(markets.bases))))

        def status(_: Ask) -> Any:
            return {"specialStatuses": None, "time": self.desk.now_ms()}

        public = {
            "exchangeStatus": status,
            "metaAndAssetCtxs": lambda _: perpetuals(),
            "spotMetaAndAssetCtxs": lambda _: spot(),
            "spotMeta": lambda _: tokens(),
            "perpDexs": lambda _: [None],
        }
        private = {
            "clearinghouseState": lambda ask: perpetual_state(ask.shown),
            "spotClearinghouseState": lambda ask: spot_state(ask.shown, markets.numbers),
            "userAbstraction": lambda _: "default",
            "userFunding": _fundings,
            "userRole": lambda _: {"role": "user"},
        }
        asked = {("POST", f"/info {kind}"): Route(answer, signed=False) for kind, answer in public.items()}
        return asked | {("POST", f"/info {kind}"): Route(answer) for kind, answer in private.items()}

    def route(self, ask: Ask) -> Route | None:
        return self.routes.get((ask.method, f"{ask.path} {ask.json.get('type', '')}"))

    def admitted(self, ask: Ask) -> Account:
        return self.owner(str(ask.json.get("user", "")))

    def owner(self, address: str) -> Account:
        if not _ADDRESS.fullmatch(address):
            raise Refused("Failed to deserialize the JSON body into the target type", 422)
        found = self.desk.keys.find(self.name, address.lower()) or self._nobody.get(address.lower())
        if found is None:
            found = Account(self.name, f"nobody {address.lower()}", 0, address.lower(), "", "", frozenset())
            self._nobody[address.lower()] = found
            self.desk.truth.open(found)
        return found

    def expired(self) -> Refused:
        return Refused("Failed to deserialize the JSON body into the target type", 422)

    def overdrawn(self, why: Overdrawn) -> Refused:  # noqa: ARG002 - nothing is said but that it was too much
        return Refused(None, 429)

    def unknown(self, ask: Ask) -> Refused:  # noqa: ARG002 - the same for every question
        return Refused("Failed to deserialize the JSON body into the target type", 422)

    def costs(self, route: Route, ask: Ask) -> Sequence[Cost]:  # noqa: ARG002 - the question has the price
        kind = ask.json.get("type", "")
        return (Cost(_PER_IP, 2 if kind in _CHEAP else 60 if kind == "userRole" else 20),)

    def session(self, path: str, query: Mapping[str, str], ip: str) -> Session | None:  # noqa: ARG002
        return HyperliquidSession(self) if path == "/ws" else None


def _fundings(ask: Ask) -> Any:
    start, end = int(ask.json.get("startTime", 0)), int(ask.json.get("endTime", 1 << 62))
    return [funding(fee) for fee in ask.shown.fees if start <= fee.time_ms <= end][:500]


def _perpetuals(bases: Sequence[str]) -> list[Any]:
    universe = [{"szDecimals": 5, "name": base, "maxLeverage": 40, "marginTableId": 56} for base in bases]
    context = {
        "funding": "0.0000125",
        "openInterest": "688.11",
        "prevDayPx": "15.1",
        "dayNtlVlm": "1169046.29406",
        "premium": "0.00031774",
        "oraclePx": "14.3",
        "markPx": "14.3",
        "midPx": "14.3",
        "impactPxs": ["14.3", "14.4"],
    }
    return [{"universe": universe, "marginTables": [], "collateralToken": 0}, [context] * len(bases)]


def _spot(bases: Sequence[str]) -> list[Any]:
    context = {"dayNtlVlm": "8906.0", "markPx": "0.14", "midPx": "0.2", "prevDayPx": "0.2"}
    return [_spot_meta(bases), [context] * len(bases)]


def _spot_meta(bases: Sequence[str]) -> dict[str, Any]:
    named = [
        ("USDC", None),
        *((token_name(base), f"Unit {base}" if token_name(base) != base else None) for base in bases),
    ]
    tokens = [
        {
            "name": name,
            "szDecimals": 5,
            "weiDecimals": 10,
            "index": index,
            "tokenId": f"0x{index:032x}",
            "isCanonical": index == 0,
            "evmContract": None,
            "fullName": full,
        }
        for index, (name, full) in enumerate(named)
    ]
    universe = [
        {"tokens": [index, 0], "name": f"@{index}", "index": index - 1, "isCanonical": False}
        for index in range(1, len(named))
    ]
    return {"tokens": tokens, "universe": universe}
