"""API keys: made from a seed, found again, expired."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterable

from indexer.demo.venue.state import Account

PERMISSIONS = ("read", "trade", "withdraw")


class Keys:
    """Every key that was ever given out, and whether it still opens anything."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers = itertools.count(1)
        self._by_key: dict[tuple[str, str], Account] = {}
        self._current: dict[tuple[str, str], Account] = {}
        self._expired: set[tuple[str, str]] = set()

    def current(self, exchange: str, name: str) -> Account | None:
        return self._current.get((exchange, name))

    def issue(self, exchange: str, name: str, permissions: Iterable[str]) -> Account:
        """A key for a new account, or another one for an old account, whose last key is void."""
        granted = frozenset(permissions)
        if not granted <= set(PERMISSIONS):
            raise ValueError(f"permissions are among {', '.join(PERMISSIONS)}")
        old = self._current.get((exchange, name))
        if old is not None:
            self.expire(old)
        serial = next(self._numbers)
        account = Account(
            exchange=exchange,
            name=name,
            number=old.number if old is not None else 1_000_000 + serial,
            api_key=self._made("key", exchange, name, serial),
            # Kraken's secrets are base64, and nobody else minds.
            secret=base64.b64encode(hashlib.sha512(f"{self._seed} secret {serial}".encode()).digest()).decode(),
            password=hashlib.sha256(f"{self._seed} password {serial}".encode()).hexdigest()[:12],
            permissions=granted,
        )
        self._by_key[exchange, account.api_key] = account
        self._current[exchange, name] = account
        return account

    def find(self, exchange: str, api_key: str) -> Account | None:
        return self._by_key.get((exchange, api_key))

    def expire(self, account: Account) -> None:
        self._expired.add((account.exchange, account.api_key))

    def restore(self, account: Account) -> None:
        self._expired.discard((account.exchange, account.api_key))

    def is_expired(self, account: Account) -> bool:
        return (account.exchange, account.api_key) in self._expired

    def _made(self, *parts: object) -> str:
        digest = hashlib.sha256(" ".join(str(part) for part in (self._seed, *parts)).encode()).hexdigest()
        # On hyperliquid the key is an address.
        return f"0x{digest[:40]}" if parts[1] == "hyperliquid" else digest
