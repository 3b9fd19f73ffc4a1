"""Watched balances that their token does not tell: nobody claims that they still hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from indexer.domain.balances import Watch
from indexer.domain.chain import Holding, Token
from indexer.domain.health.incidents import Incident


@dataclass(frozen=True, slots=True)
class Unread:
    """Which they are; `held` says up to which block the last record of each is known to hold."""

    held: Mapping[Holding, int] = field(default_factory=dict)
    tokens: Mapping[Token, Incident] = field(default_factory=dict)
    """Since when each of their tokens does not answer, and why."""

    def __bool__(self) -> bool:
        return bool(self.held)

    def failed(self, why: Mapping[Holding, str], block: int, at: datetime, held: Mapping[Holding, int]) -> Unread:
        """These could not be read at `block`; what began before goes on, and holds no longer than before."""
        tokens = dict(self.tokens)
        for holding, reason in why.items():
            tokens.setdefault(holding.token, Incident(block, reason, at))
        until = {holding: min(held[holding], self.held.get(holding, held[holding])) for holding in why}
        return Unread({**self.held, **until}, tokens)

    def answered(self, holdings: Collection[Holding]) -> Unread:
        """All of these were read."""
        if self.held.keys().isdisjoint(holdings):
            return self
        return self._of(holding for holding in self.held if holding not in holdings)

    def within(self, watch: Watch) -> Unread:
        return self._of(holding for holding in self.held if watch.covers(holding))

    def cut(self, number: int) -> Unread:
        """A reorg to this block: what was known above it was known of another branch."""
        return Unread({holding: min(number, held) for holding, held in self.held.items()}, self.tokens)

    def balances(self, token: Token) -> int:
        return sum(holding.token == token for holding in self.held)

    def _of(self, holdings: Iterable[Holding]) -> Unread:
        held = {holding: self.held[holding] for holding in holdings}
        left = {holding.token for holding in held}
        return Unread(held, {token: since for token, since in self.tokens.items() if token in left})
