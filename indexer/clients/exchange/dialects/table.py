"""The capability table: which venues are known well, and what is made of all others that ccxt knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from indexer.clients.exchange.dialects.binance import BINANCE
from indexer.clients.exchange.dialects.bybit import BYBIT
from indexer.clients.exchange.dialects.deribit import DERIBIT
from indexer.clients.exchange.dialects.dialect import Dialect
from indexer.clients.exchange.dialects.generic import generic
from indexer.clients.exchange.dialects.hyperliquid import HYPERLIQUID
from indexer.clients.exchange.dialects.kraken import KRAKEN
from indexer.clients.exchange.dialects.okx import OKX
from indexer.clients.exchange.exact import ccxt_class
from indexer.domain.accounts.amounts import Wallet

DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.exchange: dialect for dialect in (BINANCE, OKX, BYBIT, KRAKEN, DERIBIT, HYPERLIQUID)
}
"""Those whose answers and frames we read ourselves."""


_USUAL: Final = ("apiKey", "secret")


@cache
def dialect_of(exchange: str) -> Dialect | None:
    """How to talk to this exchange; nothing where ccxt cannot read its balances."""
    if exchange in DIALECTS:
        return DIALECTS[exchange]
    return generic(exchange, described(exchange)) if ccxt_class(exchange) is not None else None


def described(exchange: str) -> Mapping[str, Any]:
    """What ccxt says of it, without an instance."""
    base = ccxt_class(exchange)
    bare = base.__new__(base)
    bare.number_to_string = str  # an instance has it; one venue describes itself with it
    found: Mapping[str, Any] = bare.describe()
    return found


@cache
def has_sandbox(exchange: str) -> bool:
    """Whether there is a test site, by an address of its own or by other means."""
    import ccxt.async_support  # noqa: PLC0415 - paid by those who have accounts

    usual = ccxt.async_support.Exchange.set_sandbox_mode
    return ccxt_class(exchange).set_sandbox_mode is not usual or bool(described(exchange)["urls"].get("test"))


def sandbox_wallets(exchange: str) -> tuple[Wallet, ...]:
    """What can be followed at its test site; nothing where there is none."""
    dialect = every_dialect().get(exchange)
    if dialect is None or not has_sandbox(exchange):
        return ()
    return tuple(wallet for wallet, kind in dialect.wallets.items() if kind.in_sandbox)


@cache
def every_dialect() -> Mapping[str, Dialect]:
    """All that can be followed, those that are known well first."""
    import ccxt  # noqa: PLC0415 - paid by those who have accounts

    found = {name: dialect_of(name) for name in (*DIALECTS, *ccxt.exchanges)}
    return {name: dialect for name, dialect in found.items() if dialect is not None}


def wallets_by_exchange() -> Mapping[str, Sequence[Wallet]]:
    """Every exchange that can be followed, with the wallets that can be read there."""
    return {name: tuple(dialect.wallets) for name, dialect in every_dialect().items()}


def capabilities() -> str:
    """The table as the documentation shows it."""
    lines = [
        "| exchange | wallet | told by a stream | measure | positions | funding payments | credentials |",
        "|---|---|---|---|---|---|---|",
    ]
    several = [
        dialect for name, dialect in every_dialect().items() if name not in DIALECTS and len(dialect.wallets) > 1
    ]
    for dialect in (*DIALECTS.values(), *several):
        for wallet, kind in dialect.wallets.items():
            is_first = wallet == next(iter(dialect.wallets))
            account = (_told(dialect.has_positions), _told(dialect.has_fundings), ", ".join(dialect.credentials))
            cells = (
                dialect.exchange if is_first else "",
                wallet,
                _told(kind.is_streamed),
                kind.measure,
                *(account if is_first else ("", "", "")),
            )
            lines.append(f"| {' | '.join(cells)} |")
    others: dict[str, list[str]] = {}
    for name, dialect in every_dialect().items():
        if name not in DIALECTS and dialect not in several:
            others.setdefault(next(iter(dialect.wallets)), []).append(name)
    asked = [
        f"{name} ({', '.join(dialect.credentials) or 'nothing'})"
        for name, dialect in every_dialect().items()
        if name not in DIALECTS and dialect.credentials != _USUAL
    ]
    lines += [f"\nOthers, their `{wallet}` wallet: {', '.join(names)}." for wallet, names in sorted(others.items())]
    lines.append(f"\nThey ask for `{'` and `'.join(_USUAL)}`, but for these: {', '.join(asked)}.")
    return "\n".join(lines)


def _told(is_so: bool) -> str:
    return "yes" if is_so else "no"
