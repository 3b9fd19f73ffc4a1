"""Every other venue that ccxt knows: its main wallet, as ccxt's own parser reads it, over REST alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from indexer.clients.exchange.dialects.dialect import Dialect, Exchange, Found, WalletKind, milliseconds, number
from indexer.clients.exchange.dialects.shape import are_like, shapes_of, with_ones
from indexer.domain.accounts.amounts import Amounts, Measure, Wallet
from indexer.domain.accounts.validation import Exceptions
from indexer.errors import BadAnswer

_PARTS = ("free", "used", "total", "debt")

_MEASURES: Final[Mapping[str, Measure]] = {
    "apex": "equity",
    "blofin": "equity",
    "bullish": "available",
    "coinbaseinternational": "equity",
    "dydx": "available",
    "myokx": "equity",
    "okxus": "equity",
    "polymarket": "equity",
}
"""Where ccxt's total is no wallet's balance: positions count, or only what is free is told. Read from its parsers."""


_LISTS_NEED_KEY: Final = frozenset({"alpaca", "mudrex"})


class Generic(Dialect):
    """Nobody looked at its frames: ccxt's caches mix measures, so that only whole answers are taken."""

    async def read(self, exchange: Exchange, wallet: Wallet) -> Found:  # noqa: ARG002 - there is one
        exchange.enableLastJsonResponse, exchange.last_json_response = True, None
        found = await exchange.fetch_balance()
        answer, exchange.last_json_response = exchange.last_json_response, None
        shapes = shapes_of(_put_together(found, answer)) if isinstance(found, Mapping) else None
        if shapes is None:
            raise BadAnswer("an answer without balances")
        columns = [found.get(part) or {} for part in _PARTS]
        if not all(isinstance(column, Mapping) for column in columns):
            raise BadAnswer("an answer whose balances are no table")
        assets = dict.fromkeys(str(asset) for column in columns for asset in column)
        amounts = {asset: Amounts(*(number(column.get(asset)) for column in columns)) for asset in assets}
        known = {asset: each for asset, each in amounts.items() if each.balance is not None}
        # Of several answers one may be none while the others have balances.
        if (not known or len(shapes) > 1) and not are_like(shapes, exchange.shape):
            raise BadAnswer("an answer that is not built as those with balances were")
        if known:
            exchange.shape = with_ones(exchange.shape, shapes)
        return Found(known, milliseconds(found.get("timestamp")))


def _put_together(found: Mapping[str, Any], newest: Any) -> Sequence[Any]:
    """All answers that this balance was made of: where ccxt asks several questions, it lists them side by side."""
    info = found.get("info")
    if isinstance(info, Mapping) and any(each is newest for each in info.values()):
        return tuple(info.values())
    return (newest,)


def generic(exchange: str, described: Mapping[str, Any]) -> Dialect | None:
    """What can be made of a venue's description; nothing where ccxt cannot read a balance."""
    has = described["has"]
    if has.get("fetchBalance") is not True:
        return None
    is_spot = has.get("spot") is not False
    wallet: Wallet = "spot" if is_spot else "futures"
    apart = frozenset[Wallet]() if is_spot else frozenset({wallet})
    needed = tuple(name for name, is_needed in described["requiredCredentials"].items() if is_needed)
    return Generic(
        exchange=exchange,
        wallets={wallet: WalletKind(measure=_MEASURES.get(exchange, "wallet"))},
        exceptions=Exceptions(may_be_negative=apart, free_is_apart=apart),
        credentials=needed,
        needs_markets=True,
        lists_need_key=exchange in _LISTS_NEED_KEY,
    )
