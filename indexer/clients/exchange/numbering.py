"""Frames that a venue counts: which is next, which is late, and that one was missed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from indexer.clients.exchange.dialects.told import Told

RENEW_SECONDS: Final = 1.0
"""Between two new subscriptions: what the last one begins with may still be on its way."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """The frames of one subscription. `is_torn`: something is missing, and only a new subscription brings it."""

    newest: int = 0
    last: Told | None = None
    has_first: bool = False
    is_torn: bool = False
    renewed: float = float("-inf")
    """When a new subscription was asked for last."""

    def begun(self) -> Numbering:
        """The venue acknowledged a subscription: it counts anew."""
        return replace(self, newest=0, last=None, has_first=False)

    def is_old(self, told: Told) -> bool:
        """It came twice, or late: what came since is newer. Of two beginnings one is of an earlier subscription."""
        if told.number is None or told.number > self.newest:
            return False
        return (told.is_first and self.has_first) or not self._contradicts(told)

    def heard(self, told: Told) -> Numbering:
        if told.number is None:
            return self
        if self.is_old(told):
            return replace(self, is_torn=self.is_torn or told.is_first)
        if told.is_first:
            return replace(self, newest=told.number, last=told, has_first=True, is_torn=False)
        is_next = self.has_first and told.number == self.newest + 1
        return replace(self, newest=told.number, last=told, is_torn=self.is_torn or not is_next)

    def _contradicts(self, told: Told) -> bool:
        """Two frames with one number: one of them is of an earlier subscription."""
        return told.number == self.newest and self.last is not None and told != self.last

    def torn(self) -> Numbering:
        """Something else than the numbers says that what was told is not to be relied on."""
        return replace(self, is_torn=True)

    def must_renew(self, now: float) -> bool:
        return self.is_torn and now >= self.next_renewal

    @property
    def next_renewal(self) -> float:
        """Not before that."""
        return self.renewed + RENEW_SECONDS

    def renewing(self, now: float) -> Numbering:
        return replace(self, renewed=now)
