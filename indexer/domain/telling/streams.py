"""The names of streams: one writer each, numbered densely from 1."""

from __future__ import annotations

from indexer.domain.accounts.amounts import AccountKey


def chain_stream(chain_id: int) -> str:
    return f"chain:{chain_id}"


def history_stream(chain_id: int) -> str:
    return f"history:{chain_id}"


def is_history(stream: str) -> bool:
    """Nobody waits for these streams: a service is ready while they still fill."""
    return stream.startswith("history:")


def exchange_stream(exchange: str, name: str) -> str:
    return f"exchange:{exchange}:{name}"


def account_of(stream: str) -> AccountKey | None:
    """The account of an exchange account's stream, nothing for any other stream."""
    kind, _, rest = stream.partition(":")
    exchange, _, name = rest.partition(":")
    return AccountKey(exchange, name) if kind == "exchange" and exchange and name else None


def chain_of(stream: str) -> int | None:
    """The chain id of a chain's stream, nothing for any other stream."""
    kind, _, rest = stream.partition(":")
    return int(rest) if kind in ("chain", "history") and rest.isdecimal() else None
