"""Which exchange accounts are followed, without their credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from indexer.domain.accounts.amounts import AccountKey, Wallet


@dataclass(frozen=True, slots=True)
class Account:
    """One account, from the file or added over the API; `poll_seconds` is between reads while no stream talks."""

    key: AccountKey
    wallets: tuple[Wallet, ...]
    sandbox: bool = False
    poll_seconds: float | None = None
    base_url: str = ""
    source: Literal["file", "api"] = "api"
