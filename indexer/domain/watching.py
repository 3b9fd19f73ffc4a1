"""Who and what is watched, and who said so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from indexer.domain.chain import Address, TokenInfo

Source = Literal["file", "api"]


@dataclass(frozen=True, slots=True)
class Solver:
    """A wallet under a name; `chains` are chain ids, none means all."""

    name: str
    address: Address
    chains: tuple[int, ...] | None = None
    source: Source = "api"

    def is_on(self, chain_id: int) -> bool:
        return self.chains is None or chain_id in self.chains


@dataclass(frozen=True, slots=True)
class WatchedToken:
    """A token contract on one chain, with what it says of itself once it was asked."""

    chain_id: int
    address: Address
    info: TokenInfo = field(default_factory=TokenInfo)
    source: Source = "api"
