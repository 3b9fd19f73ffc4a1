"""Every other venue that ccxt knows: its main wallet, of some a few more, as ccxt's own parsers read them over REST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from indexer.clients.exchange.dialects.dialect import Dialect, WalletKind
from indexer.clients.exchange.dialects.shape import are_like, shapes_of, with_ones
from indexer.clients.exchange.dialects.told import Exchange, Found
from indexer.clients.exchange.dialects.values import milliseconds
from indexer.clients.exchange.exact import answers
from indexer.clients.exchange.unreadable import amount
from indexer.domain.accounts.amounts import Amounts, Measure, Wallet
from indexer.domain.accounts.validation import Exceptions
from indexer.errors import BadAnswer, WalletUnsupported

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


_BY_ADDRESS: Final = frozenset({"dydx", "pacifica"})
"""They tell everybody what an address holds: no key is asked for, and ccxt does not say that the address is."""


class Asked(NamedTuple):
    """What ccxt is told so that it asks for one more wallet, and what its total counts."""

    parameters: Mapping[str, str]
    measure: Measure = "wallet"
    is_always_apart: bool = False
    """Also where an account's other wallets are one."""


_MORE: Final[Mapping[str, Mapping[Wallet, Asked]]] = {
    "bingx": {"funding": Asked({"type": "funding"})},
    "bitget": {"margin": Asked({"marginMode": "cross"})},
    "gate": {"isolated": Asked({"marginMode": "isolated"}), "futures": Asked({"type": "swap"})},
    "kucoin": {
        "margin": Asked({"type": "margin"}),
        "isolated": Asked({"type": "isolated"}),
        "funding": Asked({"type": "main"}, is_always_apart=True),
    },
    "mexc": {"futures": Asked({"type": "swap"}, "available")},
    "phemex": {"futures": Asked({"type": "swap"})},
    "whitebit": {"funding": Asked({"account": "main"})},
}
"""Beside the main one, where ccxt's code was read: each is asked for at a place of its own, and told whole there."""

_UNIFIED: Final = ("uta", "unifiedAccount")
"""Where ccxt keeps that an account's wallets are one: it answers with that one then, whichever it is asked for."""


class Generic(Dialect):
    """Nobody looked at its frames: ccxt's caches mix measures, so that only whole answers are taken."""

    async def read(self, exchange: Exchange, wallet: Wallet) -> Found:
        more = _MORE.get(self.exchange, {}).get(wallet)
        with answers() as told:
            found = await exchange.fetch_balance(*(() if more is None else (dict(more.parameters),)))
        is_one = any(exchange.options.get(name) is True for name in _UNIFIED)
        if is_one and more is not None and not more.is_always_apart:
            raise WalletUnsupported("the account is a unified one: all of it is in the main wallet")
        answer = told[-1] if told else None
        shapes = shapes_of(_put_together(found, answer)) if isinstance(found, Mapping) else None
        if shapes is None:
            raise BadAnswer("an answer without balances")
        columns = [found.get(part) or {} for part in _PARTS]
        if not all(isinstance(column, Mapping) for column in columns):
            raise BadAnswer("an answer whose balances are no table")
        assets = dict.fromkeys(str(asset) for column in columns for asset in column)
        amounts = {asset: Amounts(*(amount(column.get(asset)) for column in columns)) for asset in assets}
        known = {asset: each for asset, each in amounts.items() if each.balance is not None}
        # Of several answers one may be none while the others have balances.
        earlier = exchange.shapes or {}
        if (not known or len(shapes) > 1) and not are_like(shapes, earlier.get(wallet)):
            raise BadAnswer("an answer that is not built as those with balances were")
        if known:
            exchange.shapes = {**earlier, wallet: with_ones(earlier.get(wallet), shapes)}
        # An asset that is named without an amount is there: who leaves it out says that it is gone.
        return Found(amounts, milliseconds(found.get("timestamp")))


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
    more = _MORE.get(exchange, {})
    apart = frozenset(each for each in (wallet, *more) if each == "futures")
    needed = tuple(name for name, is_needed in described["requiredCredentials"].items() if is_needed)
    if exchange in _BY_ADDRESS:
        needed = ("walletAddress",)
    return Generic(
        exchange=exchange,
        wallets={
            wallet: WalletKind(measure=_MEASURES.get(exchange, "wallet")),
            **{name: WalletKind(measure=one.measure) for name, one in more.items()},
        },
        exceptions=Exceptions(may_be_negative=apart, free_is_apart=apart),
        credentials=needed,
        needs_markets=True,
        lists_need_key=exchange in _LISTS_NEED_KEY,
    )
